"""Many photos measured, and many edited, one after the other: none costs another.

Beside `run`, which protects them. Nothing of it is kept in a manifest: a measurement is printed,
an edit that lies there already is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decontext.edit import check_edit_output, edit
from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.errors import CancelledError, DecontextError, InputError
from decontext.folders.finding import Task, find_tasks, is_picture, name_result
from decontext.folders.summary import SHEET
from decontext.photo.files import make_folder
from decontext.photo.images import load_photo
from decontext.verdict import Verification
from decontext.verify import verify_after

OnPart = Callable[[int, int, int], None]
"""Called with (number of the photo from 0, passes or steps done of it, in all)."""


@dataclass(frozen=True)
class Pair:
    """A protected photo, the one before, if there is one, and the name that they share."""

    name: str
    protected: Path
    original: Path | None


def find_pairs(
    inputs: Sequence[str | Path], originals: str | Path, *, recursive: bool = False
) -> tuple[Pair, ...]:
    """Protected photos of folders and single files, each with its original by its name.

    The original of `sub/a.png` is `sub/a.png` below `originals`; of `a.gif.png`, which was made of
    a format that is only read, `a.gif`. Contact sheets are left out.

    Raises:
        InputError: `originals` is no folder, or that of the protected photos, or there is no
            photo at all.
    """
    originals = Path(originals)
    if not originals.is_dir():
        raise InputError(
            f"--original is {originals}; for several photos it must be the folder of theirs.",
            "Name the folder that was protected.",
        )
    if any(Path(name).is_dir() and originals.samefile(name) for name in inputs):
        raise InputError(
            f"{originals} is both, the protected photos and those before; give two folders."
        )
    # The originals never count as protected photos, also where their folder lies inside.
    found = find_tasks(inputs, originals, recursive=recursive)
    sheet = SHEET.partition("{")[0]
    return tuple(
        Pair(task.name, Path(task.source), _find_original(originals, task.name))
        for task in found
        if not task.name.startswith(sheet)
    )


def verify_pairs(
    pairs: Sequence[Pair],
    editor: Editor | Crew,
    transforms: Sequence[str],
    *,
    on_part: OnPart | None = None,
    **options: Any,
) -> Iterator[tuple[Pair, tuple[Verification, ...] | DecontextError]]:
    """Measure each pair after each transform; yields it with what was found, or what is wrong."""
    for number, pair in enumerate(pairs):
        outcome: tuple[Verification, ...] | DecontextError
        try:
            if pair.original is None:
                raise InputError(f"there is no original of {pair.name}.")
            outcome = verify_after(
                transforms,
                load_photo(pair.protected),
                load_photo(pair.original),
                editor,
                on_measure=_teller(on_part, number),
                **options,
            )
        except CancelledError:
            raise
        except DecontextError as error:
            outcome = error
        yield pair, outcome


def edit_tasks(
    tasks: Sequence[Task],
    folder: Path,
    instruction: str,
    editor: Editor,
    *,
    force: bool = False,
    on_part: OnPart | None = None,
    **options: Any,
) -> Iterator[tuple[Task, Path | DecontextError | None]]:
    """Edit each photo into the folder; yields it with its edit, or with what is wrong.

    None: there is a file of that name already, which is left as it is without `force`.
    """
    for number, task in enumerate(tasks):
        target = folder / task.name
        outcome: Path | DecontextError | None
        try:
            if target.exists() and not force:
                outcome = None
            else:
                source = load_photo(task.source)
                make_folder(target.parent)
                check_edit_output(target, inputs=[Path(task.source)], force=force)
                edited = edit(
                    source, instruction, editor, on_step=_teller(on_part, number), **options
                )
                outcome = edited.save(target, force=force)
        except CancelledError:
            raise
        except DecontextError as error:
            outcome = error
        yield task, outcome


def _find_original(originals: Path, name: str) -> Path | None:
    """The photo that a result of this name was made of."""
    for candidate in (name, name.removesuffix(".png")):
        path = originals / candidate
        if is_picture(path.name) and name_result(Path(candidate)) == name and path.is_file():
            return path
    return None


def _teller(on_part: OnPart | None, number: int) -> Callable[[int, int], None] | None:
    return None if on_part is None else lambda done, total: on_part(number, done, total)
