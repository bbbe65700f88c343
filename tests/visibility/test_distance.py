"""How much a change is seen: what must count more than what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT
from decontext.visibility.distance import VisibleDistance, blur


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return read_pixels(ASTRONAUT)[..., 100:228, 150:278]


def _noise(shape: tuple[int, ...], sigma: float = 0.0) -> Tensor:
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    noise = torch.cat([blur(noise[:, [i]], sigma) for i in range(3)], dim=1) if sigma else noise
    return noise / noise.square().mean().sqrt() * 4 / 255


def test_no_change_measures_nothing_and_double_the_change_four_times_as_much(photo: Tensor) -> None:
    measure, noise = VisibleDistance(photo), _noise(photo.shape)
    assert float(measure(torch.zeros_like(photo))) == 0
    assert float(measure(2 * noise)) == pytest.approx(4 * float(measure(noise)), rel=1e-4)


def test_blotches_count_more_than_grain(photo: Tensor) -> None:
    measure = VisibleDistance(photo)
    assert float(measure(_noise(photo.shape, 4.0))) > 3 * float(measure(_noise(photo.shape)))


def test_brightness_counts_more_than_colour_where_there_is_no_skin(photo: Tensor) -> None:
    photo = photo.flip(1)  # red and blue exchanged: nobody's skin
    measure, grey = VisibleDistance(photo), _noise(photo.shape)[:, :1]
    colour = torch.cat([grey, -grey * 0.299 / 0.587, torch.zeros_like(grey)], dim=1)
    assert float(measure(grey.expand_as(photo))) > 3 * float(measure(colour))


def test_texture_hides_what_smooth_areas_show() -> None:
    photo = torch.full((1, 3, 64, 128), 0.5)
    photo[..., 64:] += 0.2 * _noise((1, 3, 64, 64)) * 255 / 4
    change = _noise(photo.shape)
    seen = VisibleDistance(photo.clamp(0, 1)).by_place(change)
    assert seen.shape == (1, 1, 64, 128)
    assert float(seen[..., :60].mean()) > 3 * float(seen[..., 68:].mean())


def test_odd_sizes_are_measured_and_every_pixel_has_a_gradient() -> None:
    photo = torch.rand((1, 3, 67, 101), generator=torch.Generator().manual_seed(1))
    change = _noise(photo.shape).requires_grad_()
    (gradient,) = torch.autograd.grad(VisibleDistance(photo)(change), change)
    assert torch.isfinite(gradient).all() and (gradient != 0).all()
