"""`decontext edit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli.options import (
    BASICS,
    METHOD,
    EditorOptions,
    SaveOptions,
    SeedOption,
    edit_steps_option,
    option,
    output_option,
)
from decontext.cli.prepare import open_editor, require_editor
from decontext.cli.terminal import Terminal
from decontext.errors import InputError


def edit(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo.")],
    instruction: Annotated[str, typer.Argument(metavar="INSTRUCTION", help="What to edit.")],
    output: Annotated[Path, output_option("The edited picture.", metavar="FILE")],
    model: EditorOptions,
    show: SaveOptions,
    steps: Annotated[int | None, edit_steps_option("--steps", panel=BASICS)] = None,
    seed: SeedOption = None,
    cut_context: Annotated[
        str | None,
        option(
            "--cut-context",
            "Hide the photo from the picture in these attention blocks: all, single:3, ...",
            panel=METHOD,
            metavar="BLOCKS",
            default="none",
        ),
    ] = None,
) -> None:
    """Edit a photo as anyone would, to see what an editor makes of it."""
    terminal = Terminal(show)
    require_editor(model)
    if not instruction.strip():
        raise InputError("the instruction is empty; it must say what to edit.", "Try 'smile'.")
    from decontext.edit import check_edit_output
    from decontext.edit import edit as edit_photo
    from decontext.photo.images import load_photo

    source = load_photo(photo)
    check_edit_output(output, inputs=[photo], force=show.force)
    with terminal.progress("editing") as progress:
        chosen = open_editor(terminal, model, progress)
        edited = edit_photo(
            source,
            instruction,
            chosen,
            seed=seed or 0,
            steps=steps,
            cut_context=cut_context,
            on_step=lambda done, total: progress.show(done, total, f"step {done} of {total}"),
        )
    edited.save(output, force=show.force)
    width, height = edited.shape[-1], edited.shape[-2]
    terminal.say(f"{output}: {width} x {height} pixels, by {chosen.info.name}")
    terminal.show_json(
        {
            "output": str(output),
            "size": [width, height],
            "instruction": instruction,
            "editor": chosen.info.name,
            "seed": seed or 0,
            "cut_context": cut_context,
        }
    )
