"""VETO's budget: more where a photo is busy."""

from __future__ import annotations

import torch

from decontext.pgd import project_
from decontext.visibility.texture import texture_budget


def _half_busy() -> torch.Tensor:
    """Smooth at the left, noise at the right."""
    photo = torch.full((1, 3, 48, 64), 0.5)
    noise = torch.rand((1, 1, 48, 32), generator=torch.Generator().manual_seed(0))
    photo[..., 32:] = noise
    return photo


def test_smooth_places_have_less_of_the_budget_than_busy_ones() -> None:
    budget = texture_budget(_half_busy())
    assert budget.shape == (1, 1, 48, 64)
    assert budget.amin() == 0 and budget.amax() == 1
    assert budget[..., :16].mean() < 0.05 < 0.9 < budget[..., 44:].mean()


def test_photo_without_detail_may_use_all_of_it() -> None:
    assert torch.equal(texture_budget(torch.full((1, 3, 20, 20), 0.3)), torch.ones(1, 1, 20, 20))


def test_no_pixel_leaves_its_own_part_of_the_budget() -> None:
    photo = _half_busy().clamp(0.2, 0.8)
    room = texture_budget(photo)
    moved = project_(photo + 0.5, photo, 8 / 255, room)
    assert torch.all((moved - photo).abs() <= 8 / 255 * room + 1e-6)
    assert (moved - photo)[..., 50:].amax() > 7 / 255
    whole = project_(photo + 0.5, photo, 8 / 255)
    assert torch.allclose(whole - photo, torch.full_like(photo, 8 / 255), atol=1e-6)
