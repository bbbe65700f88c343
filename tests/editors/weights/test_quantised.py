"""Packed linear layers: how far they round, and that their gradient is exactly theirs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from decontext.editors.weights.quantised import NF4_LEVELS, QuantisedLinear, quantise, unpack

PRECISIONS = ("int8", "fp8", "nf4")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("precision", "error"), [("int8", 0.01), ("fp8", 0.03), ("nf4", 0.1)])
def test_weights_come_back_rounded(precision: str, error: float) -> None:
    weight = draw(96, 128)
    rounded = unpack(*quantise(weight, precision), precision, (96, 128), torch.float32)
    assert 0 < (rounded - weight).norm() / weight.norm() < error


def test_nf4_levels_come_back_unchanged() -> None:
    weight = torch.tensor(NF4_LEVELS).repeat(8, 8) * 3
    packed, scale = quantise(weight, "nf4")
    assert packed.dtype == torch.uint8 and packed.numel() == weight.numel() // 2
    assert torch.equal(unpack(packed, scale, "nf4", (8, 128), torch.float32), weight)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_row_of_zeros_stays_one(precision: str) -> None:
    weight = draw(4, 64)
    weight[1] = 0
    rounded = unpack(*quantise(weight, precision), precision, (4, 64), torch.float32)
    assert torch.equal(rounded[1], torch.zeros(64)) and torch.isfinite(rounded).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_product_and_gradient_are_those_of_the_rounded_weights(precision, dtype) -> None:
    weight, bias = draw(96, 128), draw(96, seed=1)
    layer = QuantisedLinear(weight, bias, precision=precision, dtype=dtype)
    rounded = unpack(layer.packed, layer.scale, precision, (96, 128), dtype)
    results = []
    for run in (layer, lambda x: functional.linear(x, rounded, bias.to(dtype))):
        inputs = draw(2, 5, 128, seed=2).to(dtype).requires_grad_()
        output = run(inputs)
        output.square().sum().backward()
        results.append((output.detach(), inputs.grad))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)


def test_unpacked_weights_are_not_kept_for_the_backward_pass() -> None:
    layer = QuantisedLinear(draw(96, 128), None, precision="int8", dtype=torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.nbytes) or t, lambda t: t
    ):
        layer(draw(3, 128).requires_grad_())
    assert sum(kept) == layer.packed.nbytes + layer.scale.nbytes
