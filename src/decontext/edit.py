"""The ordinary edit that anyone would run, from a file or a picture."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from decontext.editors import Editor, load_editor
from decontext.intervention import edit_without_context
from decontext.photo.images import Photo, read_pixels


def edit(
    photo: Photo | str | Path | Tensor,
    instruction: str,
    editor: Editor | str,
    *,
    seed: int = 0,
    steps: int | None = None,
    cut_context: str | None = None,
) -> Tensor:
    """Edit a photo by an instruction.

    `cut_context` names attention blocks ("all", or as `ProtectSettings.blocks`) in which the
    picture being made cannot see the photo: the reference for what a perfect protection would do.

    Returns:
        `(1, 3, height, width)` float32 in [0, 1] at the editor's working size.

    Raises:
        InputError: the photo cannot be read, the instruction is empty, or there are no such blocks.
        EditorError: the editor's weights are missing or damaged.
    """
    pixels = read_pixels(photo)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    if cut_context is not None:
        return edit_without_context(
            loaded, pixels, instruction, blocks=cut_context, seed=seed, steps=steps
        )
    return loaded.edit(pixels, instruction, seed=seed, steps=steps)
