"""What the photo is in Qwen-Image-2.1, computed once for passes of any noise and instruction.

Text and pictures see neither the target nor what comes after them, and are modulated as at noise
level zero. So the keys and values of everything up to the end of the last picture are the same in
all passes over the same pictures; a pass then goes over the instruction and the target alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.joint.engine import Text
from decontext.editors.qwen.places import places_of, token_counts


class Held:
    """Keys and values of a block, each `(1, tokens, heads, width)`, where the model has a cache."""

    def __init__(self, *both: Tensor) -> None:
        self._both = both

    def store(self, *both: Tensor) -> None:
        self._both = both

    def get(self) -> tuple[Tensor, Tensor]:
        keys, values = self._both
        return keys, values


@dataclass(frozen=True)
class Order:
    """Of a pass's tokens: shapes of pictures and target, and which tokens are theirs.

    `shared` is the number of tokens up to the end of the last picture, `cut` that of the
    language model's tokens for them.
    """

    shapes: list[tuple[int, int, int]]
    is_picture: Tensor
    shared: int
    cut: int

    @classmethod
    def of(cls, text: Text, pictures: Sequence[Tensor], target: Tensor) -> Order:
        places, counts = places_of(text), token_counts(text)
        shapes = [(1, latents.shape[-2], latents.shape[-1]) for latents in (*pictures, target)]
        cut = int(places.nonzero()[-1]) + 1
        own = places.new_ones(target.shape[-2] * target.shape[-1])
        is_picture = torch.cat([places.repeat_interleave(counts), own])
        return cls(shapes, is_picture, int(counts[:cut].sum()), cut)


def share_pictures(
    model: Any, tokens: Tensor, text: Text, sequence: Order, blocks: int, *, again: bool
) -> Tensor:
    """Keys and values of text and pictures in the first blocks, differentiable in `tokens`.

    `tokens` are those of the pictures, `(1, tokens, channels)`. With `again` each block is run once
    more when the gradient passes. Returns `(blocks, 2, 1, tokens, heads, width)`.
    """
    own = sequence.is_picture[: sequence.shared]
    states = model.txt_in(text.tokens[:, : sequence.cut])
    repeats = token_counts(text)[: sequence.cut]
    hidden = states.repeat_interleave(repeats, dim=1).clone()
    hidden[:, own] = model.img_in(tokens)
    rotary = model.pos_embed(sequence.shapes, sequence.is_picture, device=tokens.device)
    nothing = torch.zeros(1, dtype=tokens.dtype, device=tokens.device)
    modulation = model.modulation(model.time_text_embed(nothing, hidden))
    runs = _runs(own.tolist(), [h * w for _, h, w in sequence.shapes[:-1]])

    def run(block: Any, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        held = Held()
        after = block(
            hidden_states=before,
            modulation=modulation,
            rotary_emb=rotary[: sequence.shared],
            layer_cache=held,
            kv_cache_mode="extract",
            cache_write_slice=slice(0, sequence.shared),
            segments=runs[:-1],  # what follows these, the last picture, sees everything
        )
        return (after, *held.get())

    found = []
    for block in model.transformer_blocks[:blocks]:
        if again and torch.is_grad_enabled():
            hidden, *both = family.run_again(run, block, hidden)
        else:
            hidden, *both = run(block, hidden)
        found.append(torch.stack(both))
    return torch.stack(found)


def run_after(
    model: Any, shared: Tensor, target: Tensor, text: Text, sequence: Order, sigma: float
) -> None:
    """The rest of a pass over its blocks: instruction and target, whose tokens are given."""
    rest = text.tokens[:, sequence.cut :]
    words, count = rest.shape[1], target.shape[1]
    hidden = torch.cat([model.txt_in(rest), model.img_in(target)], dim=1)
    rotary = model.pos_embed(sequence.shapes, sequence.is_picture, device=target.device)
    is_target = torch.arange(words + count, device=target.device) >= words
    times = torch.tensor([sigma, 0], dtype=target.dtype, device=target.device)
    modulation = model.modulation(model.time_text_embed(times, hidden))
    mask = _rest_mask(sequence.shared, words, count, target.device)
    for block, (keys, values) in zip(model.transformer_blocks, shared.unbind(), strict=False):
        arguments = (
            hidden,
            modulation,
            rotary[sequence.shared :],
            mask,
            is_target,
            Held(keys, values),
            "cached",
            None,
            None,
            None,
        )
        if torch.is_grad_enabled() and model.gradient_checkpointing:
            hidden = model._gradient_checkpointing_func(block, *arguments)
        else:
            hidden = block(*arguments)


def _rest_mask(shared: int, words: int, count: int, device: torch.device) -> Tensor:
    """Instruction and target see all that is shared; a word what precedes it, the target all."""
    mask = torch.ones(words + count, shared + words + count, dtype=torch.bool, device=device)
    mask[:words, shared:] = mask[:words, shared:].tril()
    return mask[None, None]


def _runs(is_picture: Sequence[bool], pictures: Sequence[int]) -> list[tuple[int, int, bool]]:
    """First and last token of each text and picture, and whether it is text."""
    runs, at = [], 0
    for count in pictures:
        begin = is_picture.index(True, at)
        if begin > at:
            runs.append((at, begin, True))
        at = begin + count
        runs.append((begin, at, False))
    return runs
