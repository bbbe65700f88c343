"""What is measured of blotches."""

from __future__ import annotations

import torch

from benchmarks.coarse_colour import coarse_colour


def _picture(levels: tuple[int, int, int]) -> torch.Tensor:
    return (torch.tensor(levels) / 255).view(1, 3, 1, 1).repeat(1, 1, 128, 128)


def test_blotches_count_and_grain_of_the_same_strength_does_not() -> None:
    skin = _picture((224, 172, 140))
    noise = torch.randn((1, 3, 128, 128), generator=torch.Generator().manual_seed(0))
    blotches = torch.nn.functional.interpolate(noise[..., :8, :8], scale_factor=16.0)
    grain = coarse_colour(skin, skin + noise * 4 / 255)
    found = coarse_colour(skin, skin + blotches * 4 / 255)
    assert found["skin"] == found["photo"] and found["photo"] > 3 * (grain["photo"] or 0)


def test_a_photo_without_skin_has_no_figure_of_it() -> None:
    sky = _picture((120, 160, 220))
    assert coarse_colour(sky, sky) == {"photo": 0.0, "skin": None}
