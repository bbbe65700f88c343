"""Muon in float32, for the transformer's training on processors without bfloat16 arithmetic.

`torch.optim.Muon` orthogonalises in bfloat16, which such processors emulate: 5 seconds a step for
`kontext-mini` where float32 takes a quarter of a second. Matrices of one shape go together.

Source: the update of `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, whose documentation
gives the formula.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """(N, rows, columns) -> the same with singular values pushed to about 1 (Newton-Schulz)."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7).view(-1, 1, 1)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; for the matrices inside a network's blocks."""

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        *,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        del closure
        for group in self.param_groups:
            shapes = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes[weight.shape].append(weight)
            for shape, weights in shapes.items():
                updates = []
                for weight in weights:
                    state = self.state[weight]
                    if not state:
                        state["momentum"] = torch.zeros_like(weight)
                    state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                    updates.append(weight.grad.lerp(state["momentum"], group["momentum"]))
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for weight, update in zip(
                    weights, orthogonalise(torch.stack(updates)), strict=True
                ):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(scale * update)
