"""From what a user names, folders, files, a list, to photos and where each result goes.

First station of a run over many photos: every photo gets the name, sub-folder and format that it
has where it lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from decontext.errors import InputError
from decontext.photo.files import explained, is_unfinished
from decontext.photo.formats import READ_ENDINGS, SAVED_ENDINGS

ENDINGS = READ_ENDINGS
"""What counts as a picture in a folder, readable or not; other files are left alone."""

SAVED = tuple(SAVED_ENDINGS)
"""Formats that are saved as they are; the others become PNG beside their own ending."""


@dataclass(frozen=True)
class Task:
    """One photo of a run.

    Attributes:
        source: the file, as it was named.
        name: of the result below the output folder, with `/`; unique in a run.
        digest: SHA-256 of the file, in hexadecimal, once it is known.
    """

    source: str
    name: str
    digest: str = ""


def find_tasks(
    inputs: Sequence[str | Path], output: str | Path, *, recursive: bool = False
) -> tuple[Task, ...]:
    """The photos of folders and single files, in the order given and by name within a folder.

    A photo of a folder keeps its path within that folder, single files the one below the folder
    that they share. What lies in the output folder is never taken for an input.

    Raises:
        InputError: a folder does not exist or is the output folder, which is named like a picture,
            two photos would get one name, or there is no photo at all.
    """
    output = Path(output)
    with explained(output):
        is_folder = output.is_dir()
    if output.suffix.lower() in ENDINGS and not is_folder:
        raise InputError(
            f"{output} is named like a picture; several photos need a folder for the results.",
            f"Try -o {output.stem}.",
        )
    singles = [path for path in map(Path, inputs) if not _is_folder(path)]
    shared = _shared_folder(singles)
    tasks: list[Task] = []
    for path in map(Path, inputs):
        if _is_folder(path):
            if _is_same(path, output):
                raise InputError(
                    "the output is the folder of the photos itself; it must be another one.",
                    "Try -o protected.",
                )
            walked = walk_photos(path, recursive=recursive, without=output)
            tasks += [Task(str(p), name_result(p.relative_to(path))) for p in walked]
        else:
            tasks.append(Task(str(path), name_result(_absolute(path).relative_to(shared))))
    check_names(tasks)
    if not tasks:
        hint = "" if recursive else " Sub-folders are looked into with --recursive."
        raise InputError(
            f"there is no picture in {', '.join(map(str, inputs)) or 'the list'}.",
            f"Put some in it: {', '.join(ENDINGS)}.{hint}",
        )
    return tuple(tasks)


def walk_photos(folder: Path, *, recursive: bool, without: Path | None = None) -> Iterator[Path]:
    """The pictures of a folder by name, readable or not; hidden and unfinished files are none.

    Linked folders are not followed, and `without` is left out with all it holds.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if recursive and not name.startswith(".") and not _is_same(here / name, without)
        )
        for name in sorted(files):
            path = here / name
            if is_picture(name) and not is_unfinished(path):
                yield path


def is_picture(name: str) -> bool:
    """Whether a file counts as a picture by its name."""
    return PurePosixPath(name).suffix.lower() in ENDINGS and not name.startswith(".")


def name_result(path: Path | PurePosixPath) -> str:
    """What the result of a photo is called; formats that are only read become PNG."""
    name = path.as_posix()
    return name if path.suffix.lower() in SAVED else f"{name}.png"


def split_list(content: bytes) -> list[str]:
    """Paths from a list: one a line, or with NUL between them as `find -print0` writes."""
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(part) for part in parts if part.strip()]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # An impossible name; it is said when the photo's turn comes.
        return False


def _shared_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that holds all these files."""
    if not files:
        return Path()
    return Path(os.path.commonpath([_absolute(path).parent for path in files]))


def _absolute(path: Path) -> Path:
    # Not resolved: a linked photo keeps the name under which it was given.
    return Path(os.path.abspath(path))


def _is_same(path: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and path.samefile(other)


def check_names(tasks: Sequence[Task]) -> None:
    """Two results of one name would overwrite each other, on some disks in another case too.

    Raises: InputError: there are two.
    """
    seen: dict[str, Task] = {}
    for task in tasks:
        other = seen.setdefault(task.name.lower(), task)
        if other is not task:
            raise InputError(
                f"{other.source} and {task.source} would both be saved as {task.name}.",
                "Give the folder above both with --recursive, or protect them one after the other.",
            )
