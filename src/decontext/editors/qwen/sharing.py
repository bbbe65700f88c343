"""Passes of Qwen-Image-2.1 that are measured, and what those of any noise have in common.

Text and pictures see neither the target nor what comes after them, and are modulated as at noise
level zero. So the keys and values of everything up to the end of the last picture are the same in
all passes over the same pictures; a pass then goes over the instruction and the target alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.joint.engine import Text
from decontext.editors.qwen.order import Order


class Held:
    """Keys and values of a block, each `(1, tokens, heads, width)`, where the model has a cache.

    With `alone` the block is left as soon as it has made them.
    """

    def __init__(self, *both: Tensor, alone: bool = False) -> None:
        self._both, self._alone = both, alone

    def store(self, *both: Tensor) -> None:
        self._both = both
        if self._alone:
            raise _Stored

    def get(self) -> tuple[Tensor, Tensor]:
        keys, values = self._both
        return keys, values


class _Stored(BaseException):
    """Leaves a block of which nothing but keys and values is wanted."""


def run_whole(
    model: Any, tokens: Tensor, target: Tensor, text: Text, order: Order, sigma: float
) -> None:
    """All blocks over everything; given are the tokens of the pictures and of the target.

    As the transformer's own call runs them, but for what that asks of the numbers in its tensors.
    """
    before = order.embed(model, text, model.img_in(tokens), order.runs)
    hidden = torch.cat([*before, model.img_in(target)], dim=1)
    rotary = order.rotate(model, target.device)
    is_target = torch.arange(hidden.shape[1], device=target.device) >= order.length
    modulation = model.modulation(_embed_time(model, sigma, hidden))
    for block in model.transformer_blocks:
        arguments = (hidden, modulation, rotary, None, is_target)
        hidden = _run_block(model, block, *arguments, None, None, None, order.segments, None)


def share_pictures(
    model: Any, tokens: Tensor, text: Text, order: Order, blocks: int, *, again: bool
) -> tuple[Tensor, ...]:
    """Keys and values of text and pictures in the first blocks, differentiable in `tokens`.

    `tokens` are those of the pictures, `(1, tokens, channels)`. With `again` each block is run once
    more when the gradient passes. Of each block `(2, 1, tokens, heads, width)`.
    """
    before = order.embed(model, text, model.img_in(tokens), order.runs[: order.shared])
    hidden = torch.cat(before, dim=1)
    rotary = order.rotate(model, tokens.device)[: order.prefix]
    nothing = torch.zeros(1, dtype=tokens.dtype, device=tokens.device)
    modulation = model.modulation(model.time_text_embed(nothing, hidden))

    def run(block: Any, before: Tensor, last: bool) -> tuple[Tensor, ...]:
        held, after = Held(alone=last), before
        try:
            after = block(
                hidden_states=before,
                modulation=modulation,
                rotary_emb=rotary,
                layer_cache=held,
                kv_cache_mode="extract",
                cache_write_slice=slice(0, order.prefix),
                # What follows these, the last picture, sees everything.
                segments=order.segments[: order.shared - 1],
            )
        except _Stored:
            pass
        return (after, *held.get())

    found = []
    for number, block in enumerate(model.transformer_blocks[:blocks], 1):
        arguments = (block, hidden, number == blocks)
        if again and torch.is_grad_enabled():
            hidden, *both = family.run_again(run, *arguments)
        else:
            hidden, *both = run(*arguments)
        found.append(torch.stack(both))
    return tuple(found)


def run_after(
    model: Any,
    shared: Sequence[Tensor],
    target: Tensor,
    text: Text,
    order: Order,
    sigma: float,
) -> None:
    """The rest of a pass over its blocks: instruction and target, whose tokens are given."""
    after = order.embed(model, text, target, order.runs[order.shared :])
    hidden = torch.cat([*after, model.img_in(target)], dim=1)
    count = target.shape[1]
    words = hidden.shape[1] - count
    rotary = order.rotate(model, target.device)[order.prefix :]
    is_target = torch.arange(words + count, device=target.device) >= words
    modulation = model.modulation(_embed_time(model, sigma, hidden))
    mask = _rest_mask(order.prefix, words, count, like=hidden)
    for block, (keys, values) in zip(model.transformer_blocks, shared, strict=False):
        arguments = (hidden, modulation, rotary, mask, is_target, Held(keys, values), "cached")
        hidden = _run_block(model, block, *arguments, None, None, None)


def _embed_time(model: Any, sigma: float, hidden: Tensor) -> Tensor:
    """Of the target's noise level, and of none."""
    times = torch.tensor([sigma, 0], dtype=hidden.dtype, device=hidden.device)
    embedded: Tensor = model.time_text_embed(times, hidden)
    return embedded


def _run_block(model: Any, block: Any, *arguments: Any) -> Tensor:
    """One block, run again when the gradient passes where that was chosen."""
    again = torch.is_grad_enabled() and model.gradient_checkpointing
    hidden: Tensor = (
        model._gradient_checkpointing_func(block, *arguments) if again else block(*arguments)
    )
    return hidden


def _rest_mask(shared: int, words: int, count: int, *, like: Tensor) -> Tensor:
    """Instruction and target see all that is shared; a word what precedes it, the target all.

    In numbers that are added, so that attention makes none of its own in every block.
    """
    mask = like.new_zeros(words + count, shared + words + count)
    mask[:words, shared:] = like.new_full((words, words + count), -torch.inf).triu(1)
    return mask[None, None]
