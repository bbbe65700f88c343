"""Folders as ZIP files, in and out: what a visitor sends is not trusted.

Names lead nowhere else, what an archive claims is checked while it is unpacked, and other files
than pictures are left out.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from decontext.app.storage import plain_name
from decontext.errors import InputError
from decontext.folders.finding import is_picture

MOST_ENTRIES = 10_000
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """A picture of an archive: where it lies now, and its name there, with `/`."""

    path: Path
    name: str


def is_archive(name: str) -> bool:
    """Whether a file counts as one by its name."""
    return PurePosixPath(name).suffix.lower() == ".zip"


def unpack(archive: Path, folder: Path, *, most: int, largest: int) -> list[Unpacked]:
    """The pictures of a ZIP file, in its order, each under a number in `folder`.

    Args:
        most: how many pictures are taken.
        largest: bytes that all of them may have together, and ten times what any one may.

    Raises:
        InputError: no ZIP file, too many pictures, too large, encrypted, or without any picture.
    """
    name = archive.name
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > MOST_ENTRIES:
                raise InputError(f"{name} has more than {MOST_ENTRIES:,} entries.", _SPLIT)
            chosen = [entry for entry in entries if _is_photo(entry)]
            if not chosen:
                raise InputError(f"there is no picture in {name}.", "Pack JPEG or PNG files.")
            if len(chosen) > most:
                raise InputError(f"{name} has {len(chosen)} pictures; up to {most} go.", _SPLIT)
            return _unpack_each(opened, chosen, folder, largest, name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{name} cannot be unpacked ({error}).", "Pack it again.") from None


_SPLIT = "Pack it as several smaller files."


def _unpack_each(
    opened: zipfile.ZipFile,
    chosen: list[zipfile.ZipInfo],
    folder: Path,
    largest: int,
    name: str,
) -> list[Unpacked]:
    found, room = [], largest
    for number, entry in enumerate(chosen, start=1):
        inside = plain_path(entry.filename)
        place = folder / f"{number:05d}"
        place.mkdir(mode=0o700)
        target = place / PurePosixPath(inside).name
        with opened.open(entry) as source, target.open("xb") as file:
            while chunk := source.read(_CHUNK):  # what an entry claims to be is not believed
                room -= len(chunk)
                if room < 0:
                    raise InputError(f"{name} is larger than {largest / 1e6:.0f} MB.", _SPLIT)
                file.write(chunk)
        target.chmod(0o600)
        found.append(Unpacked(target, inside))
    return found


def plain_path(name: str) -> str:
    """The path of an entry without what could lead elsewhere."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "/".join(plain_name(part) for part in parts if part not in ("/", "..", "."))


def pack(files: Iterable[tuple[Path, str]], target: Path) -> Path:
    """A ZIP file of these files under these names; pictures are not compressed again."""
    with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:
        for path, name in files:
            archive.write(path, name)
    target.chmod(0o600)
    return target


def _is_photo(entry: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    plain = not entry.is_dir() and kind in (0, stat.S_IFREG)
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return plain and not hidden and is_picture(path.name)
