"""`decontext edit`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
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
    from decontext.photo.files import check_absent
    from decontext.photo.images import Photo, check_output, load_photo, save_photo

    source = load_photo(photo)
    check_output(replace(source, alpha=None), output)
    check_absent(output, force=show.force)
    with terminal.progress("editing") as progress:
        chosen = open_editor(terminal, model, progress)
        hidden: AbstractContextManager[None] = nullcontext()
        if cut_context is not None:
            from decontext.edit import cut_context as cut

            hidden = cut(chosen, source.pixels, blocks=cut_context)
        with hidden:
            picture = chosen.edit(
                source.pixels,
                instruction,
                seed=seed or 0,
                steps=steps,
                on_step=lambda done, total: progress.show(done, total, f"step {done} of {total}"),
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
