"""Where photos lie while somebody works on them: a private folder for each visit, gone afterwards.

Everything is below one folder of mode 0700 that holds a lock. What a killed program left is found
by its lock, which nobody holds any more, and removed at the next start.
"""

from __future__ import annotations

import hmac
import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from decontext.errors import InputError

if sys.platform != "win32":  # It has none; there only what a program leaves itself is removed.
    import fcntl

PREFIX = "decontext-app-"
UPLOADS, VISITS, LOCK = "uploads", "visits", "lock"
SECONDS_UNUSED = 3600.0
"""A visit that asked for nothing for so long has ended, where nobody said so."""

SECONDS_UPLOADED = 600.0
"""What was uploaded and not asked for by then is removed."""

SECONDS_CLAIMED = 20.0
"""So long an upload stays after somebody took it: another visitor may have sent the same file."""


@dataclass(eq=False)
class Visit:
    """One visitor's files.

    Attributes:
        token: nobody can guess it; part of the address of each file.
        owner: the visitor's cookie; only who sends it gets the files. Empty for programs.
        folder: of mode 0700.
        used: when something was last asked for, by `time.monotonic`.
    """

    token: str
    owner: str
    folder: Path
    used: float = field(default_factory=time.monotonic)
    _count: int = 0

    def new_folder(self) -> Path:
        """An empty folder of this visit."""
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir(mode=0o700)
        return folder

    def new_path(self, name: str) -> Path:
        """A place for a file of this name, in a folder of its own."""
        return self.new_folder() / plain_name(name)


class Storage:
    """All visits of a running program. Made by `open_storage`."""

    def __init__(self, root: Path) -> None:
        self.root, self.uploads = root, root / UPLOADS
        self._visits: dict[str, Visit] = {}
        self._lock = threading.Lock()
        for name in (UPLOADS, VISITS):
            (root / name).mkdir(mode=0o700)

    def visit(self, key: str, owner: str = "") -> Visit:
        """The visit of this key, begun where there is none.

        Raises:
            InputError: it belongs to another visitor.
        """
        with self._lock:
            visit = self._visits.get(key)
            if visit is None:
                token = secrets.token_urlsafe(24)
                folder = self.root / VISITS / token
                folder.mkdir(mode=0o700)
                visit = self._visits[key] = Visit(token, owner, folder)
        if not hmac.compare_digest(visit.owner.encode(), owner.encode()):
            raise InputError("this visit belongs to somebody else.", "Open the page again.")
        visit.used = time.monotonic()
        return visit

    def find(self, token: str, place: str, owner: str = "") -> Path | None:
        """The file at this place of the visit with this token; None unless it is the owner's."""
        with self._lock:
            visit = next((v for v in self._visits.values() if v.token == token), None)
        if visit is None or not hmac.compare_digest(visit.owner.encode(), owner.encode()):
            return None
        path = Path(os.path.normpath(visit.folder / place))
        if not path.is_relative_to(visit.folder) or path.is_symlink() or not path.is_file():
            return None
        visit.used = time.monotonic()
        return path

    def address(self, visit: Visit, path: Path) -> str:
        """Where the visitor gets a file of his: `TOKEN/PLACE`."""
        return f"{visit.token}/{path.relative_to(visit.folder).as_posix()}"

    def claim(self, upload: str | Path, visit: Visit, name: str) -> Path:
        """Take an uploaded file into a visit, under its own name.

        It is linked, not copied. The upload itself stays a little longer: two visitors may have
        sent the very same file, which is then one.
        """
        target = visit.new_path(name)
        source = Path(os.path.normpath(upload))
        if not source.is_relative_to(self.uploads) or source.is_symlink():
            raise InputError("this is no uploaded file.", "Drop the photo on the page.")
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise InputError(f"{name} is no longer here.", "Drop it on the page again.") from None
        except OSError:  # a file system without links
            shutil.copyfile(source, target)
        target.chmod(0o600)
        self._let_go(source)
        return target

    def _let_go(self, upload: Path) -> None:
        """An upload that was claimed goes soon, unless the same file is sent once more."""
        gone = time.time() - SECONDS_UPLOADED + SECONDS_CLAIMED
        with suppress(OSError):
            os.utime(upload, (gone, gone))

    def end(self, key: str) -> bool:
        """End a visit and remove all of its files; whether there was one."""
        with self._lock:
            visit = self._visits.pop(key, None)
        if visit is not None:
            shutil.rmtree(visit.folder, ignore_errors=True)
        return visit is not None

    def unused(self, seconds: float = SECONDS_UNUSED) -> list[str]:
        """Keys of visits that asked for nothing for so long."""
        before = time.monotonic() - seconds
        with self._lock:
            return [key for key, visit in self._visits.items() if visit.used < before]

    def clear_uploads(self, seconds: float = SECONDS_UPLOADED) -> None:
        """Remove what was uploaded longer ago than that, and empty folders."""
        before = time.time() - seconds
        for place, _, files in os.walk(self.uploads, topdown=False):
            for name in files:
                _remove_old(Path(place, name), before)
            if Path(place) != self.uploads:
                try:
                    os.rmdir(place)
                except OSError:
                    pass  # not empty

    def files(self) -> list[Path]:
        """All files that are kept at the moment; visits that end meanwhile are passed over."""
        walk = os.walk(self.root)  # unlike `rglob` it goes on where a folder has just been removed
        return [Path(place, name) for place, _, names in walk for name in names if name != LOCK]


@contextmanager
def open_storage(parent: str | Path | None = None) -> Iterator[Storage]:
    """A private folder below `parent` (the system's for temporary files), removed at the end.

    Raises:
        InputError: it cannot be made.
    """
    above = Path(parent or tempfile.gettempdir())
    clear_leftovers(above)
    try:
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above)).resolve()  # its mode is 0700
    except OSError as error:
        raise InputError(
            f"no folder can be made in {above} ({error.strerror}).", "Set TMPDIR to another one."
        ) from error
    # Under another name until it is locked: no other program may take it for left behind.
    descriptor = os.open(root / "locking", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _try_lock(descriptor)
        (root / "locking").rename(root / LOCK)
        yield Storage(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        os.close(descriptor)


def clear_leftovers(parent: Path) -> list[Path]:
    """Remove what killed programs of this user left; those that run hold their locks."""
    removed: list[Path] = []
    if sys.platform == "win32":
        return removed
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if not stat.S_ISDIR((found := folder.lstat()).st_mode) or found.st_uid != os.getuid():
                continue
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue  # being made or removed at this moment, or by somebody else
        try:
            if _try_lock(descriptor):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
        finally:
            os.close(descriptor)
    return removed


def plain_name(name: str) -> str:
    """The last part of a name that a visitor gave, without what could lead elsewhere."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(". ")
    stem, dot, ending = kept.rpartition(".")
    return (stem[:120] + dot + ending[:12] if dot else kept[:120]) or "photo"


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_old(path: Path, before: float) -> None:
    try:
        if path.stat().st_mtime < before:
            path.unlink()
    except OSError:
        pass  # gone already
