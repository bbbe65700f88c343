"""Write a file whole or not at all, and say in plain words why it could not be written.

Used by everything that leaves a file behind: photos, reports, pages. Unfinished files have names
of their own, by which a later run knows what a killed one left and clears it.
"""

import errno
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import psutil

from decontext.errors import InputError

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space or choose another folder.",
    errno.EDQUOT: "Your share of the disk is used up: free some space or choose another folder.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.ENOENT: "Create the folder first.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}

_UNFINISHED = re.compile(
    r"\.decontext-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<started>\d+)-[0-9a-f]{16}"
    r"\.part(\.\w+)?"
)
"""The name of an unfinished file: which process is writing it, so that others leave it alone."""

ABANDONED = 7 * 24 * 3600
"""Seconds after which an unfinished file of another machine counts as left behind."""


def write_whole(content: bytes | bytearray | memoryview, path: str | Path) -> None:
    """Write to an unfinished file beside the target, then rename it into place.

    Whatever interrupts it, the unfinished file is removed and an existing target stays as it was.
    A link at the target is replaced; what it points to stays as it was.

    Raises:
        InputError: it cannot be written; the hint says what to do about it.
    """
    path = Path(path)
    with explained(path), unfinished(path) as temporary:
        temporary.touch(exist_ok=False)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A new name beside `path`, with its ending, for what is not finished; removed at the end.

    Rename the file (`put_in_place`) to keep it. What is left of a process that was killed is
    removed by `clear_leftovers`.
    """
    process = os.getpid()
    owner = f"{_name_machine()}-{process}-{_read_start(process) or 0}"
    ending = path.suffix if re.fullmatch(r"\.\w{1,20}", path.suffix, re.ASCII) else ""
    temporary = path.with_name(f".decontext-{owner}-{secrets.token_hex(8)}.part{ending}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path, *, force: bool) -> None:
    """Give a finished file its name; without `force` never that of a file which is there by now.

    Raises:
        InputError: such a file has come since `check_absent`, or the name cannot be given.
    """
    with explained(path):
        if not force:
            try:
                os.link(temporary, path)  # Unlike a rename it fails where a file lies.
                return
            except FileExistsError:
                raise _exists(path) from None
            except OSError:  # A file system without links.
                check_absent(path, force=False)
        temporary.replace(path)


def is_unfinished(path: Path) -> bool:
    """Whether a file is by its name one that a run is writing, or left when it was killed."""
    return _UNFINISHED.fullmatch(path.name) is not None


def clear_leftovers(folder: str | Path) -> tuple[Path, ...]:
    """Remove what killed runs left unfinished in a folder; never what a run is still writing.

    A file of another machine, whose processes cannot be seen from here, is left alone for a week.

    Returns:
        What was removed. A folder that cannot be read has nothing to remove.
    """
    removed = []
    try:
        paths = sorted(Path(folder).iterdir())
    except (OSError, ValueError):
        return ()
    for path in paths:
        try:
            if _is_left_behind(path):
                path.unlink()
                removed.append(path)
        except OSError:
            continue  # Another run was faster, or it may not be removed.
    return tuple(removed)


def check_writable(path: str | Path) -> None:
    """Find out before the work whether a file could be written there, by creating one beside it.

    Raises:
        InputError: the path is a folder, its name is too long or impossible, or its folder is
            missing or cannot be written to.
    """
    path = Path(path)
    with explained(path):
        if path.is_dir():
            raise InputError(f"{path} is a folder; the result must be a file.", "Add a file name.")
        _look_up(path)
        with unfinished(path) as temporary:
            temporary.touch(exist_ok=False)


def check_absent(path: Path, *, force: bool) -> None:
    """Overwrite nothing that nobody allowed to, a link that leads nowhere included.

    Raises:
        InputError: there is something, and `force` is not given.
    """
    if not force and os.path.lexists(path):
        raise _exists(path)


def check_targets(targets: Sequence[Path], *, inputs: Sequence[Path] = (), force: bool) -> None:
    """Find out before the work whether these files may be written; everything that writes asks.

    `inputs` are the files that were given: none of them may be replaced, whatever `force` says and
    under whatever name it goes, a link or another case included. What killed runs left unfinished
    in the targets' folders is removed.

    Raises:
        InputError: a target is an input, exists already, or cannot be written.
    """
    for target in targets:
        check_writable(target)
        clear_leftovers(target.parent)
        for given in inputs:
            if _is_same(target, given):
                raise InputError(
                    f"{target} is {given} itself, which was given; the output must be another file."
                )
        check_absent(target, force=force)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # Where one of them is missing, nothing is replaced.
        return False


def make_folder(folder: Path) -> None:
    """Make a folder for results, with those above it. Raises: InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} cannot be made ({_reason(error)}).", "Choose another."
        ) from None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's errors about writing a file into one that says what to do."""
    try:
        yield
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise InputError(
            f"{path} cannot be written ({_reason(error)}).",
            _HINTS.get(number or 0, "Choose another place."),
        ) from error


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _exists(path: Path) -> InputError:
    what = "is a link that exists already" if path.is_symlink() else "exists already"
    return InputError(f"{path} {what}.", "Overwrite it with --force (force=True).")


def _look_up(path: Path) -> None:
    """Ask the system for a file that may be missing. Raises: OSError: its name is impossible."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass


def _is_left_behind(path: Path) -> bool:
    """Whether nobody writes this unfinished file any more."""
    name = _UNFINISHED.fullmatch(path.name)
    if name is None:
        return False
    if name["machine"] != _name_machine():
        return time.time() - path.lstat().st_mtime > ABANDONED
    return _read_start(int(name["process"])) != int(name["started"])


@lru_cache(maxsize=1)
def _name_machine() -> str:
    """Stands for everything that numbers processes alike: a machine since it started, or a
    container."""
    parts = [socket.gethostname()]
    for source in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            is_link = source.endswith("pid")
            parts.append(os.readlink(source) if is_link else Path(source).read_text("ascii"))
        except OSError:  # Not Linux.
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _read_start(process: int) -> int | None:
    """When a process started, in a unit of the system's that no clock changes; None: it is gone."""
    try:
        # Behind the name in brackets, which may hold anything: the state, and 19 fields later this.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        pass
    try:
        return int(psutil.Process(process).create_time())
    except psutil.Error:
        return None
