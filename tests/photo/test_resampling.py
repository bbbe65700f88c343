"""Resizing is Pillow's own, with a gradient."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from decontext.errors import InputError
from decontext.photo.images import read_pixels
from decontext.photo.portraits import PORTRAITS
from decontext.photo.resampling import resize

SIZES = [(128, 128), (144, 112), (333, 97), (97, 333), (1024, 1024), (700, 60), (5, 900), (1, 1)]
KERNELS = ["lanczos", "bicubic", "bilinear"]


def resize_with_pillow(image, size, kernel):
    levels = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return np.asarray(
        Image.fromarray(levels).resize(size, getattr(Image.Resampling, kernel.upper()))
    )


def distance_from_pillow(image, size, kernel="lanczos"):
    ours = (resize(image, size, kernel=kernel)[0].permute(1, 2, 0) * 255).round().numpy()
    return np.abs(ours - resize_with_pillow(image, size, kernel).astype(float)).max()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("portrait", PORTRAITS, ids=lambda path: path.stem)
def test_real_portraits_equal_pillow_to_one_level(portrait, size, kernel):
    assert distance_from_pillow(read_pixels(portrait), size, kernel) <= 1


def test_twelve_megapixels_equal_pillow_to_one_level():
    photo = Image.open(PORTRAITS[0]).convert("RGB").resize((4000, 3000), Image.Resampling.NEAREST)
    image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255
    assert distance_from_pillow(image, (144, 112)) <= 1
    assert distance_from_pillow(image, (1184, 880)) <= 1


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(16, 90), st.integers(16, 90)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.sampled_from(KERNELS),
)
def test_any_ratio_equals_pillow_to_one_level(crop, size, kernel):
    portrait = read_pixels(PORTRAITS[1])[..., 100 : 100 + crop[1], 200 : 200 + crop[0]]
    assert distance_from_pillow(portrait, size, kernel) <= 1


def test_order_of_the_passes_is_pillows_for_every_small_size():
    """Black and white noise overshoots in every pass, so a wrong order is off by many levels."""
    noise = torch.randint(0, 2, (1, 3, 24, 20), generator=torch.Generator().manual_seed(0)).float()
    for width in range(2, 44, 3):
        for height in range(2, 48, 3):
            assert distance_from_pillow(noise, (width, height)) <= 2, (width, height)


def test_same_size_returns_the_same_picture():
    image = torch.rand(1, 3, 20, 30)
    assert torch.equal(resize(image, (30, 20)), image)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(5, 4), (13, 15), (40, 5)])
def test_gradient_is_the_derivative(size, kernel):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 2, 9, 11, dtype=torch.float64, generator=generator) * 0.2 + 0.4
    image.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: resize(x, size, kernel=kernel), image)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_plain_black_and_white_keep_their_gradient(value):
    image = torch.full((1, 3, 61, 47), value, requires_grad=True)
    resized = resize(image, (13, 17))
    resized.sum().backward()
    assert torch.all(image.grad != 0)
    assert 0 <= resized.min() and resized.max() <= 1


def test_clamp_can_be_left_off():
    step = torch.zeros(1, 1, 8, 32)
    step[..., 16:] = 1
    assert resize(step, (64, 8), clamp=False).max() > 1
    assert resize(step, (64, 8)).max() == 1


def test_autocast_does_not_touch_the_precision():
    image = torch.rand(1, 3, 40, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = resize(image, (16, 16))
    assert torch.equal(inside, resize(image, (16, 16)))


MEASURE_TWELVE_MEGAPIXELS = """
import resource, time, torch
from decontext.photo.resampling import resize
resize(torch.rand(1, 3, 300, 400, requires_grad=True), (144, 112)).sum().backward()
image = torch.rand(1, 3, 3000, 4000, requires_grad=True)
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
resize(image, (144, 112)).sum().backward()
print(time.process_time() - start)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in another unit")
def test_twelve_megapixels_forward_and_backward_stay_fast_and_small():
    """The gradient alone takes 137 MiB; nothing else of the photo's size may be needed."""
    command = [sys.executable, "-c", MEASURE_TWELVE_MEGAPIXELS]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, mebibytes = map(float, output.split())
    assert seconds < 3
    assert mebibytes < 260


@pytest.mark.parametrize(
    ("image", "size", "kernel", "text"),
    [
        (torch.rand(1, 3, 9, 9), (0, 4), "lanczos", "both must be at least 1"),
        (torch.rand(1, 3, 9, 9), (4, 4), "box", "available: lanczos, bicubic, bilinear"),
        (torch.rand(3, 9, 9), (4, 4), "lanczos", r"\(N, C, height, width\)"),
        (torch.zeros(1, 3, 9, 9, dtype=torch.uint8), (4, 4), "lanczos", "torch.uint8"),
    ],
)
def test_unusable_input_says_what_it_must_be(image, size, kernel, text):
    with pytest.raises(InputError, match=text):
        resize(image, size, kernel=kernel)


def test_gradient_passes_where_a_value_is_in_range_and_half_a_level_beyond():
    """As clamping twice does it, which is the rule written down."""
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        image = torch.rand((1, 3, 40, 50), generator=generator).round()  # overshoots at each edge
        weights = torch.randn((1, 3, 17, 23), generator=generator)
        fast, plain = (image.clone().requires_grad_() for _ in range(2))
        result = resize(fast, (23, 17))
        expected = plain
        for size in ((23, 40), (23, 17)):
            free = resize(expected, size, clamp=False)
            near = free.clamp(-0.5 / 255, 1 + 0.5 / 255)
            expected = near + (near.clamp(0, 1) - near).detach()
        assert torch.equal(result, expected)
        (result * weights).sum().backward()
        (expected * weights).sum().backward()
        assert torch.equal(fast.grad, plain.grad)
