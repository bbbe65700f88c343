"""Edits in which the picture being generated cannot see the photo: what perfect protection does.

Beside the way of the data. While an edit runs, the attention calls of chosen blocks are made
without the photo's keys for the target queries. What is left of the person then comes through the
blocks that were not chosen, and through text tokens, which still see the photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from decontext.attention import SequenceLayout, measuring, resolve_blocks
from decontext.editors import Editor
from decontext.errors import AttentionError

_attention = torch.nn.functional.scaled_dot_product_attention
_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


@contextmanager
def cut_context(editor: Editor, image: Tensor, *, blocks: str = "all") -> Iterator[None]:
    """Within it, edits of this photo by this editor run without target-to-context attention.

    Args:
        editor: whose `edit` is called within.
        image: `(1, 3, height, width)` in [0, 1], the photo that is edited.
        blocks: where the attention is cut, see `attention.resolve_blocks`.

    Raises:
        InputError: there are no such blocks.
        AttentionError: an edit ended without a call that could be cut.
    Source: arXiv 2512.16625, section 3, where it shows that the photo comes in by this way.
    """
    info = editor.info
    numbers = resolve_blocks(blocks, info.double_blocks, info.single_blocks)
    layout = find_layout(editor, image)
    with _Cut(layout, frozenset(numbers), info.double_blocks + info.single_blocks) as mode:
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


class _Cut(TorchFunctionMode):
    """Counts joint-attention calls around the blocks of the transformer, and cuts the chosen."""

    def __init__(self, layout: SequenceLayout, blocks: frozenset[int], in_all: int) -> None:
        super().__init__()
        self.seen = 0
        self._layout, self._blocks, self._in_all = layout, blocks, in_all

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not _attention:
            return func(*args, **kwargs)
        call = dict(zip(_ARGUMENTS, args, strict=False)) | kwargs
        lengths = (call["query"].shape[-2], call["key"].shape[-2])
        if lengths != (self._layout.query_length, self._layout.key_length):
            return func(*args, **kwargs)
        block = self.seen % self._in_all
        self.seen += 1
        return _without_context(call, self._layout) if block in self._blocks else func(**call)


def _without_context(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
    """The call's result where target queries see every key but those of the photo."""
    result = _attention(**call).clone()
    kept = torch.ones(layout.key_length, dtype=torch.bool, device=call["key"].device)
    kept[layout.context_slice] = False
    mask: Tensor | None = call.get("attn_mask")
    if mask is not None:
        rows = mask if mask.shape[-2] == 1 else mask[..., layout.target_slice, :]
        mask = rows if rows.shape[-1] == 1 else rows[..., kept]
    result[..., layout.target_slice, :] = _attention(
        call["query"][..., layout.target_slice, :],
        call["key"][..., kept, :],
        call["value"][..., kept, :],
        attn_mask=mask,
        scale=call.get("scale"),
        enable_gqa=call.get("enable_gqa", False),
    )
    return result


def edit_without_context(
    editor: Editor, image: Tensor, instruction: str, *, blocks: str = "all", **options: Any
) -> Tensor:
    """`Editor.edit` with the context cut off in these blocks; `options` are those of `edit`."""
    with cut_context(editor, image, blocks=blocks):
        return editor.edit(image, instruction, **options)
