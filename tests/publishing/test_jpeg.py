"""JPEG: the forward pass is Pillow's, the gradient is that of a smoothed rounding."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import decontext.publishing.jpeg as jpeg
from decontext.errors import InputError
from decontext.photo.images import read_pixels, to_array
from decontext.photo.portraits import ASTRONAUT

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return read_pixels(ASTRONAUT)[..., 40:143, 170:291].contiguous()  # 121 x 103 pixels of a face


@pytest.mark.parametrize(("full_colour", "subsampling"), [(True, 0), (False, 2)])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_forward_is_exactly_what_pillow_writes_and_reads(
    photo: Tensor, quality: int, full_colour: bool, subsampling: int
) -> None:
    content = io.BytesIO()
    Image.fromarray(to_array(photo)).save(content, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(content) as decoded:
        expected = np.asarray(decoded)
    assert np.array_equal(
        to_array(jpeg.compress(photo, quality, full_colour=full_colour)), expected
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(16, 40), st.integers(16, 40), st.integers(1, 100), st.booleans())
def test_any_size_gets_a_finite_gradient_of_its_own_form(
    width: int, height: int, quality: int, full_colour: bool
) -> None:
    generator = torch.Generator().manual_seed(width * height)
    image = torch.rand((1, 3, height, width), generator=generator).requires_grad_()
    result = jpeg.compress(image, quality, full_colour=full_colour)
    (gradient,) = torch.autograd.grad(result.square().sum(), image)
    assert result.shape == gradient.shape == image.shape
    assert bool(gradient.isfinite().all())
    assert torch.equal((result * 255).round() / 255, result)


def test_without_rounding_the_gradient_passes_full_colour_unchanged(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colour conversion and cosine transform undo each other: they are each other's transposes."""
    monkeypatch.setattr(jpeg, "_passing", torch.ones_like)
    weights = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    image = photo[..., :96, :112].clone().requires_grad_()
    weights = weights[..., :96, :112]
    (gradient,) = torch.autograd.grad(
        (jpeg.compress(image, 75, full_colour=True) * weights).sum(), image
    )
    torch.testing.assert_close(gradient, weights, atol=1e-5, rtol=1e-5)


def test_gradient_foretells_what_a_large_change_does(photo: Tensor) -> None:
    """Along a smooth change of several levels the real JPEG moves as the gradient says."""
    width = photo.shape[-1]
    wave = torch.sin(torch.arange(width) / 9)[None, None, None] * torch.ones_like(photo)
    image = photo.clamp(0.1, 0.9).requires_grad_()
    (gradient,) = torch.autograd.grad((jpeg.compress(image, 75) * wave).sum(), image)
    change = 8 / 255 * wave
    with torch.no_grad():
        after = jpeg.compress(image + change, 75) - jpeg.compress(image - change, 75)
    foretold, real = float((gradient * 2 * change).sum()), float((after * wave).sum())
    assert foretold == pytest.approx(real, rel=0.1)


def test_structure_that_the_file_drops_gets_less_gradient_than_what_it_keeps() -> None:
    grey = torch.full((1, 3, 32, 32), 0.5)
    fine = torch.tensor([1.0, -1.0]).repeat(16).expand(1, 3, 32, 32)
    broad = torch.ones((1, 3, 32, 32))
    slopes = []
    for pattern in (fine, broad):
        image = (grey + 0.005 * pattern + 0.1 * broad).requires_grad_()
        (gradient,) = torch.autograd.grad((jpeg.compress(image, 40) * pattern).sum(), image)
        slopes.append(float((gradient * pattern).mean()))
    assert slopes[0] < 0.4 * slopes[1]


def test_large_photos_get_the_gradient_unchanged(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "EXACT_UP_TO", 1000)
    image = photo.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(jpeg.compress(image, 75).sum(), image)
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_strips_give_the_gradient_of_the_whole(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = []
    for strip in (16, 256):
        monkeypatch.setattr(jpeg, "_STRIP", strip)
        image = photo.clone().requires_grad_()
        gradients += torch.autograd.grad(jpeg.compress(image, 75).square().sum(), image)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("shape", "quality", "message"),
    [((1, 3, 16, 16), 0, "quality is 0"), ((2, 3, 16, 16), 75, r"\(2, 3, 16, 16\); it must be")],
)
def test_what_no_jpeg_can_be_is_refused(shape: tuple[int, ...], quality: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        jpeg.compress(torch.zeros(shape), quality)


@pytest.mark.slow
def test_large_photo_takes_little_more_than_its_result() -> None:
    """In a process of its own: what others left behind does not count."""
    code = """
import torch
from benchmarks.step import _peak, _reset_peak
from decontext.publishing.jpeg import compress_in_turn

torch.set_num_threads(1)
cpu, image = torch.device("cpu"), torch.rand((1, 3, 5000, 7000))
compress_in_turn(image[..., :64, :64], [(95, True)])
before = _reset_peak(cpu)
compress_in_turn(image, [(95, True), (75, False)])
print((_peak(cpu) - before) / (5000 * 7000))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=250, cwd=ROOT
    )
    assert 12 < float(done.stdout) < 14.5  # bytes a pixel; the result has 12
