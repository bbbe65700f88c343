"""The original way to a step's gradient, written anew from its description, to compare with.

Every block is run. Queries and keys of the chosen blocks are captured, and after the pass the whole
softmax matrix of each is made; its part from target queries to context keys is averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from decontext.attention import SequenceLayout


class Capture(TorchFunctionMode):
    """Keeps queries and keys of the chosen joint-attention calls; changes nothing."""

    def __init__(self, blocks: Sequence[int]) -> None:
        super().__init__()
        self._blocks = frozenset(blocks)
        self._seen = 0
        self.kept: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key = (*args, kwargs.get("query"), kwargs.get("key"))[:2]
            if not args:
                query, key = kwargs["query"], kwargs["key"]
            if self._seen in self._blocks:
                self.kept.append((query, key))
            self._seen += 1
        return func(*args, **kwargs)


def measure_original(
    call: Callable[[], object], layout: SequenceLayout, blocks: Sequence[int]
) -> Tensor:
    """As `attention.measure`, in the original way; checkpointing must be torch's ordinary one."""
    with Capture(blocks) as capture:
        call()
    return torch.stack([_proportion(query, key, layout) for query, key in capture.kept])


def _proportion(query: Tensor, key: Tensor, layout: SequenceLayout) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    attention = scores.softmax(dim=-1)
    part = attention[..., layout.target_slice, layout.context_slice]
    return part.sum(dim=-1).mean().float()
