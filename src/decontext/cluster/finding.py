"""From folders, files, prefixes of stores and objects to photos and where each result goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from decontext.cluster.stores import Place, is_uri, walk
from decontext.errors import InputError
from decontext.folders.finding import (
    ENDINGS,
    Task,
    check_names,
    find_tasks,
    is_picture,
    name_result,
)
from decontext.photo.files import is_unfinished


def find_photos(
    inputs: Sequence[str], output: Place, *, recursive: bool = False
) -> tuple[Task, ...]:
    """The photos of folders, prefixes, files and objects, as `find_tasks` finds those of folders.

    What lies in the output's place is never taken for an input. An object that is named by itself,
    with the ending of a picture, has its last name; its content is looked at when its turn comes.

    Raises:
        InputError: a place cannot be listed or is the output, two photos would get one name, or
            there is no photo at all.
    """
    tasks: list[Task] = []
    local = [name for name in inputs if not is_uri(name)]
    if local:
        # An output in a store overlaps with no folder: any name that is none will do.
        folder = output.path if output.is_local else Path("protected.decontext-nowhere")
        found = find_tasks(local, folder, recursive=recursive)
        tasks += [Task(str(Path(task.source).absolute()), task.name) for task in found]
    for name in inputs:
        if is_uri(name):
            tasks += _find_in_store(name, output, recursive=recursive)
    check_names(tasks)
    if not tasks:
        hint = "" if recursive else " What lies deeper is looked into with --recursive."
        raise InputError(
            f"there is no picture in {', '.join(inputs) or 'the list'}.",
            f"Put some in it: {', '.join(ENDINGS)}.{hint}",
        )
    return tuple(tasks)


def _find_in_store(name: str, output: Place, *, recursive: bool) -> list[Task]:
    place = Place.of(name)
    last = place.root.rpartition("/")[2]
    if is_picture(last):
        return [Task(name, name_result(PurePosixPath(last)))]
    if place.root == output.root:
        raise InputError(
            "the output is the place of the photos itself; it must be another one.",
            f"Try -o {place.root}-protected.",
        )
    left_out = output.root.removeprefix(f"{place.root}/") if output.root != place.root else ""
    return [
        Task(place.file(path), name_result(PurePosixPath(path)))
        for path in walk(place, recursive=recursive)
        if _is_photo(path) and not path.startswith(f"{left_out}/")
    ]


def _is_photo(path: str) -> bool:
    *folders, name = path.split("/")
    hidden = any(folder.startswith(".") for folder in folders)
    return is_picture(name) and not hidden and not is_unfinished(Path(name))
