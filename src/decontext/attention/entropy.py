"""How evenly attention between the photo and the picture being generated is spread out.

What the objective `attention-entropy` raises, measured at the same calls as the context
proportion (`attention.measuring`). Entropy needs the weights themselves, so here the rows of the
attention matrix are made, a few queries at a time, and made again for the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from decontext.attention import SequenceLayout

_ROWS = 256
"""Queries whose attention exists at the same time."""


def attention_entropy(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
    """Entropy of the attention from target to context and back, a float32 scalar in [0, 1].

    For each target query the attention on context keys alone, normalised to a sum of 1; its
    entropy as a part of the largest possible, the logarithm of their number; and the same for
    context queries and target keys, where there is such attention. The mean over batch, heads,
    queries and directions.
    """
    target, context = layout.target_slice, layout.context_slice
    if not layout.context_sees_target:
        return _spread(call, target, context)
    return (_spread(call, target, context) + _spread(call, context, target)) / 2


def _spread(call: dict[str, Any], queries: slice, keys: slice) -> Tensor:
    """Mean entropy, [0, 1], of these queries' attention on these keys."""
    query, key = call["query"][..., queries, :], call["key"][..., keys, :]
    if key.shape[-3] != query.shape[-3]:  # grouped queries
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scale = call.get("scale") or 1 / math.sqrt(query.shape[-1])
    mask = _cut_mask(call, queries, keys)
    total = query.new_zeros((), dtype=torch.float32)
    for start in range(0, query.shape[-2], _ROWS):
        rows = slice(start, start + _ROWS)
        bias = mask if mask is None or mask.shape[-2] == 1 else mask[..., rows, :]
        total = total + checkpoint(
            _sum_entropies,
            query[..., rows, :],
            key,
            bias,
            scale,
            use_reentrant=False,
            preserve_rng_state=False,
        )
    rows_in_all = query.numel() // query.shape[-1]
    spread: Tensor = total / (rows_in_all * math.log(max(key.shape[-2], 2)))
    return spread


def _sum_entropies(query: Tensor, key: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Entropies in nats of every row, added up: log of the sum minus the mean score."""
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if bias is not None:
        closed = ~bias if bias.dtype == torch.bool else torch.isneginf(bias)
        scores = scores if bias.dtype == torch.bool else scores + bias.masked_fill(closed, 0)
        # Not minus infinity: a row without any open key would have no entropy at all.
        scores = scores.masked_fill(closed, torch.finfo(scores.dtype).min / 2)
    weights = scores.softmax(-1)
    return (scores.logsumexp(-1) - (weights * scores).sum(-1)).sum()


def _cut_mask(call: dict[str, Any], queries: slice, keys: slice) -> Tensor | None:
    """The part of the call's attention mask for these queries and keys."""
    mask: Tensor | None = call.get("attn_mask")
    if call.get("is_causal"):
        size = (call["query"].shape[-2], call["key"].shape[-2])
        mask = torch.ones(size, dtype=torch.bool, device=call["query"].device).tril()
    if mask is None:
        return None
    if mask.shape[-1] > 1:
        mask = mask[..., keys]
    return mask if mask.shape[-2] == 1 else mask[..., queries, :]
