"""Anything a program has a photo as becomes the same photo, and nothing is guessed."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from decontext.errors import InputError
from decontext.photo.images import load_photo, save_photo
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.photo.sources import read_pixels, to_photo

RGB = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
WANTED = torch.from_numpy(RGB).permute(2, 0, 1)[None] / 255
TENSOR = WANTED[0]


def encode(array):
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        encode(RGB),
        io.BytesIO(encode(RGB)),
        Image.fromarray(RGB),
        RGB,
        RGB[::-1][::-1],
        np.asfortranarray(RGB),
        RGB.astype(np.float32) / 255,
        RGB.astype(">f8") / 255,
        TENSOR,
        TENSOR[None],
        TENSOR.double().requires_grad_(),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1)[None],
    ],
    ids=range(13),
)
def test_every_kind_of_source_gives_the_same_pixels(source):
    photo = to_photo(source)
    assert torch.equal(photo.pixels, WANTED)
    assert photo.pixels.dtype == torch.float32 and not photo.pixels.requires_grad
    assert (photo.mode, photo.format, photo.alpha) == ("RGB", "PNG", None)
    assert not photo.from_file and str(photo.path) == "photo.png"
    assert torch.equal(read_pixels(source), WANTED)


def test_path_and_photo_are_taken_too():
    photo = to_photo(str(ASTRONAUT))
    assert photo.path == ASTRONAUT and photo.from_file
    assert to_photo(photo) is photo


def test_grey_and_opacity_are_kept(tmp_path):
    grey = to_photo(RGB[..., 0])
    assert grey.is_grey and grey.mode == "L"
    opaque = to_photo(np.dstack((RGB, RGB[..., :1])))
    assert opaque.mode == "RGBA" and np.array_equal(opaque.alpha.numpy(), RGB[..., 0])
    save_photo(opaque.pixels, opaque, tmp_path / "out.png")
    assert torch.equal(load_photo(tmp_path / "out.png").alpha, opaque.alpha)


def test_pil_image_keeps_what_it_carries_and_is_left_as_it_was():
    with Image.open(GRACE_HOPPER) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        content = io.BytesIO()
        image.save(content, "JPEG", exif=exif)
    with Image.open(content) as image:
        photo = to_photo(image)
        assert image.size == photo.size[::-1] and image.mode == "RGB"
    wanted = load_photo(content)
    assert torch.equal(photo.pixels, wanted.pixels)
    assert (photo.exif, photo.icc, photo.format) == (wanted.exif, wanted.icc, "JPEG")
    assert str(photo.path) == "photo.jpg"


def test_equal_pixels_have_equal_hashes():
    assert to_photo(RGB).sha256 == to_photo(TENSOR).sha256 != ""
    other = RGB.copy()
    other[0, 0, 0] ^= 1
    assert to_photo(other).sha256 != to_photo(RGB).sha256


FLOAT = RGB.astype(np.float32) / 255


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RGB.transpose(2, 0, 1), r"channels come first; they must come last. Give array.transpose"),
        (np.zeros((3, 40, 3), np.uint8), "its channels may come first or last"),
        (RGB[None], r"a batch; it must be one picture. Give array\[0\]"),
        (RGB[..., :2], r"uint8 of shape \(24, 40, 2\). It must be \(height, width\)"),
        (RGB.reshape(-1), r"It must be \(height, width\)"),
        (np.zeros((0, 40, 3), np.uint8), "it is empty"),
        (RGB.astype(np.int64), r"is int64 of .*; it must be uint8, or floating point in \[0, 1\]"),
        (RGB > 127, r"is bool of .*; it must be uint8"),
        (RGB // 128, "all its levels are 0 or 1; they must be 0 to 255"),
        (RGB.astype(np.uint16), "it must be uint8"),
        (FLOAT * 255, r"go from 0 to 255; they must be in \[0, 1\]. Divide by 255"),
        (FLOAT * 2 - 1, r"From \[-1, 1\]: give \(x \+ 1\) / 2"),
        (FLOAT * 1.5, "Clip or scale it"),
        (np.where(FLOAT > 0.5, np.nan, FLOAT), "it holds NaN or infinity"),
        (FLOAT.astype(complex), "it must be uint8"),
        (np.array([["a"]]), "it must be uint8"),
        (RGB[:10], "both sides must be at least 16"),
        (TENSOR.permute(1, 2, 0), r"its channels come last; they must come first. Give tensor"),
        (WANTED.permute(0, 2, 3, 1), r"permute\(0, 3, 1, 2\)"),
        (torch.cat((WANTED, WANTED)), "a batch of 2; it must be one picture"),
        (TENSOR[:1], r"1 channels; there must be 3 \(RGB\)"),
        (TENSOR[0], r"is float32 of \(24, 40\). It must be \(3, height, width\)"),
        (torch.zeros(3, 40, 3), "its channels may come first or last"),
        (torch.zeros(3, 0, 40), "it is empty"),
        (TENSOR * 255, "Divide by 255"),
        (WANTED * 255, "Divide by 255"),
        (WANTED * float("nan"), "it holds NaN or infinity"),
        ((TENSOR * 255).long(), r"is int64 .*; it must be uint8, or floating point"),
        (TENSOR > 0.5, "is bool"),
        (TENSOR.to("meta"), "without values of its own"),
        (TENSOR.to_sparse(), "without values of its own"),
        ([[1, 2], [3, 4]], "is of type list; it must be a path, bytes, a binary file"),
        (None, "is of type NoneType"),
    ],
    ids=range(33),
)
def test_what_is_ambiguous_or_wrong_is_refused_with_what_to_do(source, message):
    for convert in (to_photo, read_pixels):
        with pytest.raises(InputError, match=message):
            convert(source)


def test_floating_tensor_is_not_rounded_by_read_pixels():
    between = WANTED.clone()
    between[0, 0, 0, 0] = 0.0011
    assert read_pixels(between) is between
    assert float(to_photo(between).pixels[0, 0, 0, 0]) == 0.0


def test_closed_pil_image_is_an_input_error():
    with Image.open(ASTRONAUT) as image:
        pass
    image.close()
    with pytest.raises(InputError, match="the PIL image is damaged or cut short"):
        to_photo(image)


def test_animation_as_pil_image_is_refused():
    content = io.BytesIO()
    frames = [Image.fromarray(np.roll(RGB, seed)) for seed in range(3)]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    with Image.open(content) as image, pytest.raises(InputError, match="several pages \\(3\\)"):
        to_photo(image)
