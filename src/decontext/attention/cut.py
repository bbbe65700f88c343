"""Takes the photo's keys away from the target queries: passes that cannot see the photo.

The attention calls of chosen blocks are made without the photo's keys for the target queries. What
is left of the person then comes through the blocks that were not chosen, and through text
tokens, which still see the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from decontext.attention.layout import SequenceLayout, attention, name_arguments


class Cut(TorchFunctionMode):
    """Counts joint-attention calls around the blocks of the transformer, and cuts the chosen.

    `layouts` are those of the passes; `blocks` are numbers of joint-attention calls of a pass,
    `in_all` how many a pass has; `seen` counts those of all passes.
    """

    def __init__(
        self, layouts: Sequence[SequenceLayout], blocks: frozenset[int], in_all: int
    ) -> None:
        super().__init__()
        self.seen = 0
        self._layouts, self._blocks, self._in_all = layouts, blocks, in_all

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not attention:
            return func(*args, **kwargs)
        call = name_arguments(args, kwargs)
        layout = next((one for one in self._layouts if one.is_joint(call)), None)
        if layout is None:
            return func(*args, **kwargs)
        block = self.seen % self._in_all
        self.seen += 1
        return without_context(call, layout) if block in self._blocks else func(**call)


def without_context(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
    """The call's result where target queries see every key but those of the photo."""
    result = attention(**call).clone()
    kept = torch.ones(layout.key_length, dtype=torch.bool, device=call["key"].device)
    kept[layout.context_slice] = False
    mask: Tensor | None = call.get("attn_mask")
    if mask is not None:
        rows = mask if mask.shape[-2] == 1 else mask[..., layout.target_slice, :]
        mask = rows if rows.shape[-1] == 1 else rows[..., kept]
    result[..., layout.target_slice, :] = attention(
        call["query"][..., layout.target_slice, :],
        call["key"][..., kept, :],
        call["value"][..., kept, :],
        attn_mask=mask,
        scale=call.get("scale"),
        enable_gqa=call.get("enable_gqa", False),
    )
    return result
