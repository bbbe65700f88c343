"""The ordinary edit that anyone would run, and one in which the editor cannot see the photo.

The second is the bound of what a perfect protection would do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.attention import SequenceLayout, measuring, resolve_blocks
from decontext.attention.cut import Cut
from decontext.editors import Editor, load_editor
from decontext.errors import AttentionError
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


def edit_without_context(
    editor: Editor, image: Tensor, instruction: str, *, blocks: str = "all", **options: Any
) -> Tensor:
    """`Editor.edit` with the context cut off in these blocks; `options` are those of `edit`."""
    with cut_context(editor, image, blocks=blocks):
        return editor.edit(image, instruction, **options)


@contextmanager
def cut_context(editor: Editor, image: Tensor, *, blocks: str = "all") -> Iterator[None]:
    """Within it, edits of this photo by this editor run without target-to-context attention.

    Args:
        editor: whose `edit` is called within.
        image: `(1, 3, height, width)` in [0, 1], the photo that is edited.
        blocks: where the attention is cut, see `attention.blocks.resolve_blocks`.

    Raises:
        InputError: there are no such blocks.
        AttentionError: an edit ended without a call that could be cut.
    Source: arXiv 2512.16625, section 3, where it shows that the photo comes in by this way.
    """
    info = editor.info
    numbers = resolve_blocks(blocks, info.double_blocks, info.single_blocks)
    layout = find_layout(editor, image)
    with Cut(layout, frozenset(numbers), info.double_blocks + info.single_blocks) as mode:
        yield
    if mode.seen == 0:
        raise AttentionError(
            f"the edit made no attention call over {layout.key_length} tokens; nothing was cut",
            "use the native attention backend",
        )


@torch.no_grad()
def find_layout(editor: Editor, image: Tensor) -> SequenceLayout:
    """Where the tokens of a pass over this photo lie, from one pass up to the first block."""
    found: list[SequenceLayout] = []

    def look(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
        found.append(layout)
        return torch.zeros((), device=call["query"].device)

    size = editor.working_size(image.shape[-1], image.shape[-2])
    noise = editor.draw_noise(size, torch.Generator().manual_seed(0))
    prompt = editor.encode_prompt("a photo of this person", image)
    with measuring(look):
        editor.attend(image, prompt, 1.0, noise, (0,))
    return found[0]
