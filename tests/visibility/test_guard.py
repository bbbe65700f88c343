"""What counts more on skin and on plain places."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decontext.visibility.distance import VisibleDistance
from decontext.visibility.guard import ON_PLAIN, ON_SKIN, guard, plain_like
from decontext.visibility.layers import Layers

PALE, SKY = (224, 172, 140), (120, 160, 220)
BUSY = 40.0  # levels


def _place(colour: tuple[int, int, int], grain: float) -> Tensor:
    """A patch of 64 x 64 of a colour, with grain of patches of 2 x 2 of so many levels."""
    noise = torch.randn((1, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    noise = noise.repeat_interleave(2, -1).repeat_interleave(2, -2)
    return (torch.tensor(colour).view(1, 3, 1, 1) / 255 + grain / 255 * noise).clamp(0, 1)


def _patches() -> Tensor:
    """Change of brightness in patches of 8 x 8."""
    patches = torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return patches.repeat_interleave(8, -1).repeat_interleave(8, -2) * 2 / 255


def _colour() -> Tensor:
    patches = _patches()
    return torch.cat([patches, -patches * 0.299 / 0.587, torch.zeros_like(patches)], dim=1)


def test_plain_is_what_has_no_contrast() -> None:
    plain = plain_like(torch.tensor([0.0, 1.0, 3.0, 10.0]))
    assert plain.tolist() == pytest.approx([1.0, 0.895, 0.368, 0.0], abs=1e-3)


def test_what_counts_how_much() -> None:
    scale = torch.zeros(1, 3, 1, 2)
    scale[:, 0] = 190.0
    scale[..., 0] = torch.tensor([190.0, -25.0, 32.0]).view(1, 3, 1)  # skin
    busy, plain = (torch.full((1, 1, 1, 2), contrast) for contrast in (BUSY, 0.0))
    assert guard(scale, busy, 0).flatten().tolist() == pytest.approx([1.0] * 6)
    coarse = guard(scale, busy, 3)[0, :, 0]
    assert coarse[0].tolist() == pytest.approx([1.0, 1.0])  # brightness
    assert coarse[1:, 0].tolist() == pytest.approx([ON_SKIN] * 2, rel=0.05)
    assert coarse[1:, 1].tolist() == pytest.approx([1.0] * 2)
    assert guard(scale, plain, 3).flatten().tolist() == pytest.approx([ON_PLAIN] * 6)
    fine = guard(scale, plain, 1)[0, :, 0]
    assert fine[0].tolist() == pytest.approx([ON_PLAIN] * 2)
    assert fine[1:].flatten().tolist() == pytest.approx([1.0] * 4)


def test_coarse_colour_counts_more_on_busy_skin_and_brightness_does_not() -> None:
    skin, sky = (VisibleDistance(_place(one, BUSY)) for one in (PALE, SKY))
    assert float(skin(_colour())) > 1.5 * float(sky(_colour()))
    brightness = _patches().expand(1, 3, 64, 64)
    assert float(skin(brightness)) == pytest.approx(float(sky(brightness)), rel=0.1)


def test_brightness_and_colour_count_more_where_a_photo_is_plain() -> None:
    plain, busy = (VisibleDistance(_place(SKY, grain)) for grain in (0.0, BUSY))
    for change in (_patches().expand(1, 3, 64, 64), _colour()):
        assert float(plain(change)) > 5 * float(busy(change))


def test_layers_have_smaller_units_on_skin_and_on_plain_places() -> None:
    skin, sky = (Layers(_place(one, BUSY)).units for one in (PALE, SKY))
    assert float(skin[2][:, 1:].mean()) < 0.8 * float(sky[2][:, 1:].mean())
    plain = Layers(_place(SKY, 0.0)).units
    for one, other in zip(plain, sky, strict=True):
        assert float(one[:, :1].mean()) < 0.5 * float(other[:, :1].mean())
