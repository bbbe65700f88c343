"""`decontext verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli.options import (
    BASICS,
    DEFAULTS,
    METHOD,
    EditorOptions,
    MeasureOptions,
    RunOptions,
    option,
)
from decontext.cli.prepare import open_editor, require_editor
from decontext.cli.terminal import Terminal
from decontext.cli.verdicts import DetailsOption, show_verifications
from decontext.errors import InputError
from decontext.verdict import Level


def verify(
    protected: Annotated[Path, typer.Argument(metavar="PROTECTED", help="The protected photo.")],
    original: Annotated[
        Path, option("--original", "The photo before.", panel=BASICS, metavar="PHOTO")
    ],
    model: EditorOptions,
    measured: MeasureOptions,
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
    details: DetailsOption = False,
) -> int:
    """Measure whether a photo is protected against an editor, and after what else.

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
    after, before = load_photo(protected), load_photo(original)
    with terminal.progress("measuring") as progress:
        chosen = open_editor(terminal, model, progress)
        as_it_is, *published = verify_after(
            names,
            after,
            before,
            chosen,
            blocks=measured.blocks or DEFAULTS.blocks,
            seed=measured.seed or DEFAULTS.seed,
            working_size=measured.working_size or DEFAULTS.working_size,
            on_measure=lambda done, total: progress.show(
                done, total, f"measurement {done} of {total}"
            ),
        )
    show_verifications(terminal, as_it_is, published, details=details)
    return 0 if as_it_is.reaches(needed) else 1
