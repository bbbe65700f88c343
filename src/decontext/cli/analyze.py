"""`decontext analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli._options import (
    DebugOption,
    DeviceOption,
    EditorOption,
    EpsilonOption,
    ForceOption,
    JsonOption,
    PrecisionOption,
    QuietOption,
    RobustOption,
    SeedOption,
    StepsOption,
    WeightsOption,
    open_editor,
    read_settings,
    require_editor,
)
from decontext.cli.terminal import Terminal


def analyze(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the page and the numbers."),
    ],
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTO]...",
            help="Default: the two portraits of the package.",
            show_default=False,
        ),
    ] = None,
    editor: EditorOption = None,
    epsilon: EpsilonOption = None,
    steps: StepsOption = None,
    robust: RobustOption = None,
    cut_context: Annotated[
        str,
        typer.Option("--cut-context", metavar="BLOCKS", help="Blocks in which edits are blind."),
    ] = "all",
    seed: SeedOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show where and when an editor looks at a photo, before and after protection."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    require_editor(editor)
    settings = read_settings(None, epsilon=epsilon, steps=steps, robust=robust, seed=seed)
    from decontext.analysis.run import analyse
    from decontext.photo.images import load_photo
    from decontext.photo.portraits import PORTRAITS

    sources = [load_photo(photo) for photo in photos or PORTRAITS]
    chosen = open_editor(terminal, editor, weights, device, precision)
    with terminal.progress("analysing") as draw:
        analysis = analyse(
            sources,
            chosen,
            output=output,
            settings=settings,
            cut=cut_context,
            force=force,
            on_progress=draw,
        )
    for line in analysis.summary():
        terminal.say(line)
    terminal.say(f"page: {analysis.page}", style="bold")
    terminal.show_json(analysis.to_dict())
