"""Linear layers whose weights are kept in 8 or 4 bits and unpacked while they are used.

Only the weights are rounded; products and gradients are computed in the model's own precision, and
the gradient to the input is exactly that of the rounded layer. The unpacked matrix lives for one
product: the backward pass unpacks it again. A pass looks at thousands of tokens, so that
unpacking is a small part of its work, and no kernels beside torch's own are needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NF4_BLOCK = 64
NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""Quantiles of a normal distribution, zero included. Source: arXiv 2305.14314, appendix E."""

FP8 = torch.float8_e4m3fn


class QuantisedLinear(nn.Module):
    """A frozen linear layer with weights in "int8", "fp8" (a scale for each row) or "nf4".

    `packed` and `scale` are buffers, so that it moves and streams like any other layer.
    """

    packed: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, precision: str, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.precision = precision
        self.shape = tuple(weight.shape)
        packed, scale = quantise(weight, precision)
        self.register_buffer("packed", packed)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if bias is None else bias.to(dtype))

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            inputs, self.packed, self.scale, self.bias, self.precision, self.shape
        )
        return output


class _Product(torch.autograd.Function):
    """A linear layer that keeps its packed weights for the backward pass, not the unpacked ones."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        packed: Tensor,
        scale: Tensor,
        bias: Tensor | None,
        precision: str,
        shape: tuple[int, ...],
    ) -> Tensor:
        ctx.save_for_backward(packed, scale)
        ctx.precision, ctx.shape = precision, shape
        weight = unpack(packed, scale, precision, shape, inputs.dtype)
        return functional.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        packed, scale = ctx.saved_tensors
        weight = unpack(packed, scale, ctx.precision, ctx.shape, upstream[0].dtype)
        return upstream[0] @ weight, None, None, None, None, None


def quantise(weight: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Packed weights and their scales. `weight` is `(out, in)`; nf4 needs a multiple of 64 in all.

    int8 and fp8 have a scale for each row, nf4 one for each 64 weights.
    """
    weight = weight.float()
    if precision == "nf4":
        return _pack_nf4(weight)
    highest = 127.0 if precision == "int8" else torch.finfo(FP8).max
    scale = weight.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12) / highest
    scaled = weight / scale
    packed = scaled.round_().to(torch.int8) if precision == "int8" else scaled.to(FP8)
    return packed, scale


def unpack(
    packed: Tensor, scale: Tensor, precision: str, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """The rounded weights, `shape`, in `dtype`."""
    if precision != "nf4":
        return packed.to(dtype) * scale.to(dtype)
    levels = torch.tensor(NF4_LEVELS, device=packed.device).to(dtype)
    # Both numbers of a byte at once: its 256 values are the rows of a table of pairs.
    table = torch.cartesian_prod(levels, levels)
    pairs = table[packed.int()].view(-1, NF4_BLOCK)
    return (pairs * scale.to(dtype)).view(shape)


def _pack_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    blocks = weight.reshape(-1, NF4_BLOCK)
    scale = blocks.abs().amax(dim=1, keepdim=True).clamp_(min=1e-12)
    levels = torch.tensor(NF4_LEVELS, device=weight.device)
    middles = (levels[1:] + levels[:-1]) / 2
    numbers = torch.bucketize(blocks / scale, middles).to(torch.uint8).view(-1, 2)
    return numbers[:, 0] * 16 + numbers[:, 1], scale
