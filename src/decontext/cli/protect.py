"""`decontext protect`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decontext.cli.options import (
    BASICS,
    METHOD,
    OUTPUT,
    EditorOptions,
    MethodOptions,
    SaveOptions,
    flag,
    option,
    output_option,
)
from decontext.cli.prepare import open_editor, read_settings, require_editor
from decontext.cli.terminal import Terminal
from decontext.cli.verdicts import DetailsOption, show_protection

if TYPE_CHECKING:
    from decontext.cli.progress import Progress
    from decontext.photo.images import Metadata
    from decontext.progress import OnProgress
    from decontext.progress import Progress as RunProgress


def protect(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo.")],
    *,
    output: Annotated[
        Path | None,
        output_option("Where to save.", metavar="FILE", default="NAME.protected.EXT beside PHOTO"),
    ] = None,
    model: EditorOptions,
    method: MethodOptions,
    show: SaveOptions,
    step_limit: Annotated[
        int | None,
        option(
            "--step-limit",
            "Up to how many steps it goes on while the verdict is not strong.",
            panel=METHOD,
            metavar="N",
            default="4 times --steps",
        ),
    ] = None,
    accept_weak: Annotated[
        bool, flag("--accept-weak", "Save a photo whose verdict is weak, too.", panel=BASICS)
    ] = False,
    strip_location: Annotated[
        bool,
        flag("--strip-location", "Save without the place where it was taken.", panel=OUTPUT),
    ] = False,
    strip_metadata: Annotated[
        bool, flag("--strip-metadata", "Save without EXIF and XMP data.", panel=OUTPUT)
    ] = False,
    details: DetailsOption = False,
) -> None:
    """Protect a photo against an editor, and measure the saved file.

    Exit code 0: the verdict is strong, or weak with --accept-weak. 1: it failed, nothing was
    written. 2: your input.
    """
    terminal = Terminal(show)
    require_editor(model)
    settings = read_settings(method)
    if step_limit is not None:
        settings = replace(settings, step_limit=step_limit)
    from decontext.estimate import estimate_run
    from decontext.photo.images import choose_metadata, load_photo
    from decontext.protect import protect as protect_photo
    from decontext.saving import check_target, default_output

    # Before the weights are loaded, which may take minutes.
    metadata: Metadata = "none" if strip_metadata else "no-location" if strip_location else "keep"
    source = choose_metadata(load_photo(photo), metadata)
    target = output or default_output(photo)
    given = [method.config] if method.config else []
    check_target(source, target, inputs=given, force=show.force)
    with terminal.progress("protecting") as progress:
        chosen = open_editor(terminal, model, progress)
        progress.prepare("estimating")
        expected = estimate_run(source, chosen, settings)
        if expected is not None:
            terminal.note(expected.describe(str(chosen.device)))
        result = protect_photo(
            source,
            chosen,
            output=target,
            settings=settings,
            force=show.force,
            accept_weak=accept_weak,
            on_progress=_teller(progress),
        )
    show_protection(terminal, result, details=details)


def _teller(progress: Progress) -> OnProgress:
    """What shows how far a run is; its count of passes is the total of the bar."""

    def tell(run: RunProgress) -> None:
        note = run.message if run.stage == "optimising" else f"{run.stage}, {run.message}"
        progress.show(run.done, run.total, note)

    return tell
