"""`decontext edit`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from decontext.cli._options import (
    DebugOption,
    DeviceOption,
    EditorOption,
    ForceOption,
    JsonOption,
    PartsOption,
    PrecisionOption,
    QuietOption,
    SeedOption,
    StreamOption,
    WeightsOption,
    open_editor,
    require_editor,
)
from decontext.cli.terminal import Terminal
from decontext.errors import InputError


def edit(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    instruction: Annotated[str, typer.Argument(help="What to edit.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The edited picture.", show_default=False)
    ],
    editor: EditorOption = None,
    seed: SeedOption = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.", min=1)] = None,
    cut_context: Annotated[
        str | None,
        typer.Option(
            "--cut-context",
            metavar="BLOCKS",
            help="Hide the photo from the picture in these attention blocks: all, single:3, ...",
        ),
    ] = None,
    weights: WeightsOption = None,
    parts: PartsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    stream_weights: StreamOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Edit a photo as anyone would, to see what an editor makes of it."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    require_editor(editor)
    if not instruction.strip():
        raise InputError("the instruction is empty; it must say what to edit.", "Try 'smile'.")
    from decontext.photo.files import check_absent
    from decontext.photo.images import Photo, check_output, load_photo, save_photo

    source = load_photo(photo)
    check_output(replace(source, alpha=None), output)
    check_absent(output, force=force)
    chosen = open_editor(
        terminal, editor, weights, device, precision, parts=parts, stream_weights=stream_weights
    )
    hidden: AbstractContextManager[None] = nullcontext()
    if cut_context is not None:
        from decontext.edit import cut_context as cut

        hidden = cut(chosen, source.pixels, blocks=cut_context)
    with terminal.progress("editing") as draw, hidden:
        picture = chosen.edit(
            source.pixels,
            instruction,
            seed=seed or 0,
            steps=steps,
            on_step=lambda done, total: draw(done, total, ""),
        )
    edited = Photo(pixels=picture, path=output, format="PNG", mode="RGB")
    save_photo(picture, edited, output)
    terminal.say(f"{output}: {edited.size[0]} x {edited.size[1]} pixels, by {chosen.info.name}")
    terminal.show_json(
        {
            "output": str(output),
            "size": list(edited.size),
            "instruction": instruction,
            "editor": chosen.info.name,
            "seed": seed or 0,
            "cut_context": cut_context,
        }
    )
