"""`decontext verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext.cli.many import RecursiveOption, is_one_photo, read_inputs, refuse_recursive
from decontext.cli.options import (
    BASICS,
    DEFAULTS,
    METHOD,
    AmongOptions,
    EditorsOptions,
    MeasureOptions,
    RunOptions,
    option,
)
from decontext.cli.prepare import open_editors, read_company, refuse_company, require_editor
from decontext.cli.terminal import Terminal
from decontext.cli.verdicts import DetailsOption, show_many_verifications, show_verifications
from decontext.errors import InputError
from decontext.verdict import Level

if TYPE_CHECKING:
    from decontext.folders.verbs import Pair


def verify(
    protected: Annotated[
        list[str],
        typer.Argument(
            metavar="PROTECTED..",
            help="The protected photo; or a folder, several photos, - for a list on stdin.",
        ),
    ],
    original: Annotated[
        Path,
        option(
            "--original",
            "The photo before; of several their folder.",
            panel=BASICS,
            metavar="PHOTO",
        ),
    ],
    model: EditorsOptions,
    measured: MeasureOptions,
    company: AmongOptions,
    show: RunOptions,
    transforms: Annotated[
        str | None,
        option(
            "--transforms",
            "Also after these: usual, or jpeg-75,resize-0.5,...; several at once with +.",
            panel=METHOD,
            metavar="NAMES",
            default="none",
        ),
    ] = None,
    require: Annotated[
        str,
        option(
            "--require",
            "Exit code 0 from this verdict on: strong or weak.",
            panel=METHOD,
            metavar="LEVEL",
            choices=("strong", "weak"),
            default="strong",
        ),
    ] = "strong",
    recursive: RecursiveOption = False,
    details: DetailsOption = False,
) -> int:
    """Measure whether a photo is protected against an editor, and after what else.

    Of several photos each is measured, with the original of the same name below --original.

    Exit code 0: the verdict is strong, as it lies there (or weak with --require weak). 1: it is
    not. 2: your input.
    """
    terminal = Terminal(show)
    require_editor(model)
    needed: Level = "weak" if require == "weak" else "strong"
    if require != needed:
        raise InputError(f"--require is {require!r}; it must be strong or weak.")
    from decontext.photo.images import load_photo
    from decontext.verify import read_transforms, verify_after

    names = ("none", *read_transforms(transforms or ""))
    if not is_one_photo(protected):
        refuse_company(company)
        pairs = find_pairs_of(protected, original, recursive=recursive)
        return verify_many(terminal, pairs, names, needed, model, measured, details=details)
    refuse_recursive(recursive)
    after, before = load_photo(Path(protected[0])), load_photo(original)
    others = read_company(company)
    with terminal.progress("measuring") as progress:
        chosen = open_editors(terminal, model, progress, others)
        as_it_is, *published = verify_after(
            names,
            after,
            before,
            chosen,
            **_passes(measured),
            on_measure=lambda done, total: progress.show(
                done, total, f"measurement {done} of {total}"
            ),
        )
    show_verifications(terminal, as_it_is, published, details=details)
    return 0 if as_it_is.reaches(needed) else 1


def find_pairs_of(protected: Sequence[str], original: Path, *, recursive: bool) -> tuple[Pair, ...]:
    """Protected photos and their originals; a list is read from stdin in the place of `-`."""
    from decontext.folders.verbs import find_pairs

    return find_pairs(read_inputs(protected), original, recursive=recursive)


def verify_many(
    terminal: Terminal,
    pairs: Sequence[Pair],
    names: Sequence[str],
    needed: Level,
    model: EditorsOptions,
    measured: MeasureOptions,
    *,
    details: bool,
) -> int:
    """Measure many photos; 1 where the verdict of one is less than what is needed."""
    from decontext.folders.verbs import verify_pairs

    with terminal.progress("measuring") as progress:
        chosen = open_editors(terminal, model, progress)

        def tell(number: int, done: int, total: int) -> None:
            note = f"photo {number + 1} of {len(pairs)}"
            progress.show(number + done / total, len(pairs), note)

        found = list(verify_pairs(pairs, chosen, names, on_part=tell, **_passes(measured)))
    return show_many_verifications(terminal, found, needed, details=details)


def _passes(measured: MeasureOptions) -> dict[str, Any]:
    """Which passes to measure by, as options of `verify`."""
    return {
        "blocks": measured.blocks or DEFAULTS.blocks,
        "seed": measured.seed or DEFAULTS.seed,
        "working_size": measured.working_size or DEFAULTS.working_size,
    }
