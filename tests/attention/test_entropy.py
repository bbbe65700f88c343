"""Entropy of attention against an explicit softmax, under masks and checkpointing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import decontext.attention.entropy as entropy
from decontext.attention import SequenceLayout, checkpointed, measure, measuring

LAYOUT = SequenceLayout(text=3, target=5, context=4)
TOKENS, HEADS, WIDTH = LAYOUT.key_length, 2, 8


def _draw(seed: int = 0, heads: int = HEADS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn((2, heads, TOKENS, WIDTH), generator=generator)


def _explicit(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask.expand(scores.shape), -1e4)
    elif mask is not None:
        scores = scores + mask
    spreads = []
    for rows, keys in (
        (LAYOUT.target_slice, LAYOUT.context_slice),
        (LAYOUT.context_slice, LAYOUT.target_slice),
    ):
        weights = scores[..., rows, keys].softmax(-1)
        logarithms = weights.clamp(min=1e-30).log()
        entropies = -(weights * logarithms).sum(-1)
        spreads.append(entropies.mean() / math.log(weights.shape[-1]))
    return (spreads[0] + spreads[1]) / 2


def _masks() -> dict[str, Tensor | None]:
    keys = torch.ones(2, 1, 1, TOKENS, dtype=torch.bool)
    keys[..., -1] = keys[..., 4] = False
    generator = torch.Generator().manual_seed(2)
    return {
        "no mask": None,
        "key mask": keys,
        "additive mask": torch.randn(2, HEADS, TOKENS, TOKENS, generator=generator),
    }


@pytest.mark.parametrize("name", _masks())
@pytest.mark.parametrize("rows", [2, 256])
def test_entropy_and_gradient_equal_an_explicit_softmax(
    name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entropy, "_ROWS", rows)
    mask, key = _masks()[name], _draw(1)
    query = _draw().requires_grad_()
    found = entropy.attention_entropy({"query": query, "key": key, "attn_mask": mask}, LAYOUT)
    expected = _explicit(query, key, mask)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    gradients = [torch.autograd.grad(value, query)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def test_entropy_is_one_where_all_keys_are_alike_and_near_zero_for_a_single_key() -> None:
    alike = {"query": _draw(), "key": torch.ones(2, HEADS, TOKENS, WIDTH)}
    assert float(entropy.attention_entropy(alike, LAYOUT)) == pytest.approx(1)
    key = torch.zeros(2, HEADS, TOKENS, WIDTH)
    key[..., [4, -1], :] = 100.0
    query = torch.ones(2, HEADS, TOKENS, WIDTH)
    assert float(entropy.attention_entropy({"query": query, "key": key}, LAYOUT)) < 1e-6


def test_grouped_queries_share_their_keys() -> None:
    query, key = _draw(heads=4), _draw(1)
    found = entropy.attention_entropy({"query": query, "key": key, "enable_gqa": True}, LAYOUT)
    expected = _explicit(query, key.repeat_interleave(2, dim=1), None)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("run", [None, checkpointed], ids=["plain", "checkpointed"])
def test_probe_measures_entropy_within_the_context_and_the_proportion_after_it(run: Any) -> None:
    key = _draw(1)

    def block(tokens: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(tokens, key, key)

    def call(tokens: Tensor) -> Tensor:
        return block(tokens) if run is None else run(block, tokens)

    query = _draw().requires_grad_()
    with measuring(entropy.attention_entropy):
        (found,) = measure(lambda: call(query), LAYOUT, (0,))
    # The gradient is asked for when the context is left: a checkpoint must not forget.
    (gradient,) = torch.autograd.grad(found, query)
    expected = _explicit(query, key, None)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        gradient, torch.autograd.grad(expected, query)[0], atol=1e-6, rtol=1e-4
    )
    (after,) = measure(lambda: call(query), LAYOUT, (0,))
    assert not torch.isclose(after, found)
