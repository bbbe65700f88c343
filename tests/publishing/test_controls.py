"""What a protected photo is compared with."""

from __future__ import annotations

import pytest
import torch

from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.photo.resampling import resize
from decontext.publishing.controls import find_blur, show_the_same, usual_change, with_noise
from decontext.publishing.transforms import parse_transform


@pytest.fixture(scope="module")
def portraits() -> tuple[torch.Tensor, torch.Tensor]:
    first, second = (resize(read_pixels(path), (96, 96)) for path in (ASTRONAUT, GRACE_HOPPER))
    return (first * 255).round() / 255, (second * 255).round() / 255


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_blur_of_a_photo_is_found(portraits: tuple[torch.Tensor, ...], sigma: float) -> None:
    blurred = parse_transform(f"blur-{sigma}")(portraits[0])
    assert find_blur(portraits[0], blurred) == sigma
    assert find_blur(portraits[0], with_noise(blurred, 2, 0)) == sigma


def test_noise_and_another_photo_are_no_blur(portraits: tuple[torch.Tensor, ...]) -> None:
    assert find_blur(portraits[0], portraits[0]) == 0
    assert find_blur(portraits[0], with_noise(portraits[0], 12, 0)) == 0
    assert find_blur(*portraits) == 0


@pytest.mark.parametrize("levels", [0, 12, 64])
def test_a_photo_with_noise_is_still_that_photo(
    portraits: tuple[torch.Tensor, ...], levels: int
) -> None:
    assert show_the_same(portraits[0], with_noise(portraits[0], levels, 1))


def test_another_person_is_another_photo(portraits: tuple[torch.Tensor, ...]) -> None:
    assert not show_the_same(*portraits)
    assert not show_the_same(portraits[0], portraits[0].flip(-1))


def test_usual_change_leaves_outliers_out(portraits: tuple[torch.Tensor, ...]) -> None:
    changed = with_noise(torch.full_like(portraits[0], 0.5), 5, 0)
    changed[0, 0, 0, 0] = 1
    assert usual_change(torch.full_like(changed, 0.5), changed) == 5


def test_usual_change_is_counted_over_the_whole_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    before = torch.randint(0, 256, (1, 3, 700, 900), generator=generator).float() / 255
    change = torch.randint(-9, 10, before.shape, generator=generator)
    after = (before + change / 255).clamp(0, 1)
    levels = ((after - before) * 255).round().abs().flatten().sort().values
    assert usual_change(before, after) == int(levels[int(0.99 * len(levels))])
