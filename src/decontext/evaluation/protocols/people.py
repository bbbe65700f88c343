"""A folder of people, as CelebA-HQ and VGGFace2 are cut for such tests: one folder a person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from decontext.errors import InputError
from decontext.evaluation.plan import find_photos


def find_people(folder: str | Path, *, photos_each: int | None = None) -> dict[str, list[Path]]:
    """The photos of each person, by the name of the person's folder.

    Where there are no sub-folders with pictures every picture is a person of its own. With
    `photos_each` only the first so many of a person count.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; it must be a folder of people.", "Check the name.")
    found: dict[str, list[Path]] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            found[place.name] = list(find_photos(place))[:photos_each]
        except InputError:  # a folder without a picture is nobody
            continue
    return found or {path.stem: [path] for path in find_photos(folder)}


def take_shard(people: Mapping[str, list[Path]], shard: tuple[int, int]) -> tuple[Path, ...]:
    """The photos of every n-th person: `(3, 16)` is the third of sixteen shares.

    People are not divided, so that a share can be judged by itself. A share may be empty.

    Raises:
        InputError: there is no such share.
    """
    number, count = shard
    if not 1 <= number <= count:
        raise InputError(f"there is no shard {number} of {count}.", "Try --shard 1/16 to 16/16.")
    chosen = list(people.values())[number - 1 :: count]
    return tuple(path for photos in chosen for path in photos)
