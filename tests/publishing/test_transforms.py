"""What happens to published photos: names, real operations, gradients, and random chains."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.images import psnr, read_pixels, to_array
from decontext.photo.portraits import ASTRONAUT
from decontext.publishing.transforms import EVALUATED, parse_transform


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return read_pixels(ASTRONAUT)[..., 40:140, 170:290].contiguous()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", EVALUATED)
def test_every_name_gives_an_8_bit_picture_and_says_what_it_is(photo: Tensor, name: str) -> None:
    if name == "clean":
        pytest.importorskip("cv2")
    transform = parse_transform(name)
    after = transform(photo)
    assert transform.name == name
    assert parse_transform(transform.name) == transform
    assert len(transform.describe()) > 5
    assert after.ndim == 4 and after.shape[1] == 3
    torch.testing.assert_close((after * 255).round() / 255, after)
    assert 0 <= float(after.min()) and float(after.max()) <= 1
    assert torch.equal(after, transform(photo)), "the same each time"


def test_resize_equals_pillows_there_and_back_and_small_stays_small(photo: Tensor) -> None:
    with Image.fromarray(to_array(photo)) as picture:
        small = picture.resize((60, 50), Image.Resampling.LANCZOS)
        back = small.resize((120, 100), Image.Resampling.LANCZOS)
    for name, expected in (("small-0.5", small), ("resize-0.5", back)):
        after = to_array(parse_transform(name)(photo)).astype(int)
        difference = np.abs(after - np.asarray(expected).astype(int))
        assert difference.max() <= 2  # Pillow rounds after each direction
        assert difference.mean() < 0.5


def test_chain_applies_its_operations_in_order(photo: Tensor) -> None:
    chain = parse_transform("jpeg-75+resize-0.5")
    one_by_one = parse_transform("resize-0.5")(parse_transform("jpeg-75")(photo))
    assert torch.equal(chain(photo), one_by_one)
    assert chain.describe() == (
        "saved as JPEG of quality 75, then reduced to 0.5 of its size and enlarged again"
    )


def test_crop_cuts_off_that_share_of_each_side_at_a_drawn_place(photo: Tensor) -> None:
    crop = parse_transform("crop-5")
    assert crop(photo).shape == (1, 3, 95, 114)
    places = {float(crop(photo, _generator(seed)).mean()) for seed in range(8)}
    assert len(places) > 2


def test_noise_has_the_strength_it_is_named_after() -> None:
    grey = torch.full((1, 3, 100, 100), 0.5)
    noise = parse_transform("noise-0.05")(grey, _generator(1)) - grey
    assert float(noise.std()) == pytest.approx(0.05, rel=0.03)


def test_blur_keeps_flat_areas_and_smooths_a_point() -> None:
    point = torch.zeros((1, 3, 31, 31))
    assert torch.equal(parse_transform("blur-1")(point + 0.2), (point + 0.2))
    point[..., 15, 15] = 1
    after = parse_transform("blur-1")(point)
    assert float(after[0, 0, 15, 15]) == pytest.approx(1 / (2 * torch.pi), abs=0.01)
    torch.testing.assert_close(after, after.flip(-1))
    torch.testing.assert_close(after, after.transpose(-1, -2))


def test_cleaning_takes_a_fine_pattern_away_and_keeps_the_picture(photo: Tensor) -> None:
    pytest.importorskip("cv2")
    signs = torch.randint(0, 2, photo.shape, generator=_generator(0)) * 2.0 - 1
    marked = (photo + 4 / 255 * signs).clamp(0, 1)
    clean = parse_transform("clean")
    cleaned = clean(photo)
    assert psnr(cleaned, clean(marked)) > psnr(photo, marked) + 1
    assert psnr(photo, cleaned) > 35


def test_denoising_takes_noise_away_and_keeps_the_colours(photo: Tensor) -> None:
    pytest.importorskip("cv2")
    flat = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1).expand_as(photo)
    noisy = (flat + 0.03 * torch.randn(photo.shape, generator=_generator(0))).clamp(0, 1)
    cleaned = parse_transform("denoise")(noisy)
    assert float((cleaned - flat).abs().mean()) < 0.3 * float((noisy - flat).abs().mean())
    assert float((cleaned * 255 - (cleaned * 255).round()).abs().max()) < 1e-3


@pytest.mark.parametrize("name", ["clean", "denoise"])
def test_cleaning_without_the_extra_names_it(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "cv2":
            raise ImportError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install 'decontext\[eval\]'"):
        parse_transform(name)(photo)


@pytest.mark.parametrize("name", [name for name in EVALUATED if name != "clean"])
def test_gradient_goes_back_through_every_operation(photo: Tensor, name: str) -> None:
    image = photo.clone().requires_grad_()
    after = parse_transform(name)(image)
    weights = torch.rand(after.shape, generator=_generator(0))
    (gradient,) = torch.autograd.grad((after * weights).sum(), image)
    assert bool(gradient.isfinite().all())
    assert float((gradient != 0).float().mean()) > 0.85  # a crop drops some pixels


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jepg-75", "no transform is named 'jepg-75'; there are jpeg"),
        ("jpeg", "'jpeg' needs a whole number from 1 to 100. Try 'jpeg-75'"),
        ("jpeg-75.5", "needs a whole number"),
        ("jpeg-101", "from 1 to 100"),
        ("resize-0", "'resize-0' needs a number from 0.01 to 1. Try 'resize-0.5'"),
        ("small-2", "from 0.01 to 1"),
        ("crop-60", "from 0 to 50"),
        ("flip-2", "'flip' takes no value, but has '2'"),
        ("jpeg-75+", "no transform is named ''"),
        ("noise-nan", "from 0 to 1"),
    ],
)
def test_wrong_name_says_what_there_is(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_transform(name)


@pytest.mark.parametrize("large", [False, True])
def test_files_in_turn_are_what_each_makes_of_the_one_before(
    photo: Tensor, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr("decontext.publishing.jpeg.EXACT_UP_TO", 16)
    first, second = parse_transform("jpeg444-95"), parse_transform("crop-5+jpeg-70+jpeg-60")
    image = photo.clone().requires_grad_()
    both = first.then(second)
    assert both.name == "jpeg444-95+crop-5+jpeg-70+jpeg-60"
    after = both(image)
    assert torch.equal(after, second(first(photo)))
    after.sum().backward()
    assert image.grad is not None and bool(image.grad.isfinite().all())
    if large:
        assert torch.equal(image.grad.unique(), torch.tensor([0.0, 1.0]))
