"""`decontext verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli._options import (
    BlocksOption,
    DebugOption,
    DeviceOption,
    EditorOption,
    JsonOption,
    PartsOption,
    PrecisionOption,
    QuietOption,
    SeedOption,
    StreamOption,
    WeightsOption,
    WorkingSizeOption,
    open_editor,
    require_editor,
)
from decontext.cli.terminal import Terminal


def verify(
    protected: Annotated[Path, typer.Argument(help="The protected photo.", show_default=False)],
    original: Annotated[
        Path, typer.Option("--original", help="The photo before.", show_default=False)
    ],
    editor: EditorOption = None,
    blocks: BlocksOption = None,
    seed: SeedOption = None,
    transforms: Annotated[
        str | None,
        typer.Option(
            "--transforms",
            metavar="NAMES",
            help="Also after these: 'usual', or jpeg-75,resize-0.5,...; several at once with +.",
        ),
    ] = None,
    working_size: WorkingSizeOption = None,
    weights: WeightsOption = None,
    parts: PartsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    stream_weights: StreamOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Measure whether a photo is protected against an editor, and after what else.

    Exit code 0: it is, as it lies there. 1: it is not. 2: your input.
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    require_editor(editor)
    from decontext.photo.images import load_photo
    from decontext.verify import read_transforms, verify_after

    names = ("none", *read_transforms(transforms or ""))
    after, before = load_photo(protected), load_photo(original)
    chosen = open_editor(
        terminal, editor, weights, device, precision, parts=parts, stream_weights=stream_weights
    )
    with terminal.progress("measuring") as draw:
        as_it_is, *published = verify_after(
            names,
            after,
            before,
            chosen,
            blocks=blocks or "all",
            seed=seed or 0,
            working_size=working_size or "ordinary",
            on_measure=lambda done, total: draw(done, total, ""),
        )
    terminal.show_verification(as_it_is, published)
    return 0 if as_it_is.protected else 1
