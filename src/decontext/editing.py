"""The ordinary edit that anyone would run, from a file or a picture."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from decontext.editors import Editor, load_editor
from decontext.images import Photo, read_pixels


def edit(
    photo: Photo | str | Path | Tensor,
    instruction: str,
    editor: Editor | str,
    *,
    seed: int = 0,
    steps: int | None = None,
) -> Tensor:
    """Edit a photo by an instruction.

    Returns:
        `(1, 3, height, width)` float32 in [0, 1] at the editor's working size.

    Raises:
        InputError: the photo cannot be read, or the instruction is empty.
        EditorError: the editor's weights are missing or damaged.
    """
    pixels = read_pixels(photo)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    return loaded.edit(pixels, instruction, seed=seed, steps=steps)
