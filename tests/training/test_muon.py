"""The float32 Muon of the training against PyTorch's own, which computes in bfloat16."""

from __future__ import annotations

import pytest
import torch

from training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(24, 48), (48, 24), (32, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert 0.4 < float(values.min()) and float(values.max()) < 1.3


def test_updates_are_those_of_torch_within_its_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    start, gradient = torch.randn(2, 24, 48, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    own = Muon([ours], 1e-2)
    other = torch.optim.Muon([theirs], 1e-2, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for step in (1, 2, 3):
        ours.grad, theirs.grad = step * gradient, step * gradient
        own.step()
        other.step()
    moved, apart = (ours - start).detach().norm(), (ours - theirs).detach().norm()
    assert float(apart / moved) < 0.02
