"""`decontext analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli.options import (
    METHOD,
    MethodOptions,
    OneEditorOptions,
    SaveOptions,
    option,
    output_option,
)
from decontext.cli.prepare import open_editor, read_settings, require_editor
from decontext.cli.terminal import Terminal


def analyze(
    output: Annotated[
        Path, output_option("Folder for the page and the numbers.", metavar="FOLDER")
    ],
    which: OneEditorOptions,
    method: MethodOptions,
    show: SaveOptions,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO]...",
            help="Default: the two portraits of the package.",
            show_default=False,
        ),
    ] = None,
    cut_context: Annotated[
        str,
        option(
            "--cut-context",
            "Blocks in which edits are blind.",
            panel=METHOD,
            metavar="BLOCKS",
            default="all",
        ),
    ] = "all",
) -> None:
    """Show where and when an editor looks at a photo, before and after protection."""
    terminal = Terminal(show)
    require_editor(which)
    model = which.one("analyze")
    settings = read_settings(method)
    from decontext.analysis.run import analyse
    from decontext.photo.images import load_photo
    from decontext.photo.portraits import PORTRAITS

    sources = [load_photo(photo) for photo in photos or PORTRAITS]
    with terminal.progress("analysing") as progress:
        chosen = open_editor(terminal, model, progress)
        analysis = analyse(
            sources,
            chosen,
            output=output,
            settings=settings,
            cut=cut_context,
            force=show.force,
            on_progress=progress.show,
        )
    for line in analysis.summary():
        terminal.say(line)
    terminal.say(f"page: {analysis.page}", style="bold")
    terminal.show_json(analysis.to_dict())
