"""A photo goes to pixels and back into a file like the one it came from."""

import errno
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from decontext.errors import InputError
from decontext.photo.images import (
    check_output,
    describe_losses,
    levels,
    load_photo,
    quantise,
    read_pixels,
    save_photo,
)
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER

WIDTH, HEIGHT = 40, 24
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def draw(channels, seed=0):
    shape = (HEIGHT, WIDTH, channels) if channels > 1 else (HEIGHT, WIDTH)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def change(photo):
    """A perturbation of one level up or down per pixel, the same in all channels."""
    signs = torch.randint(0, 2, (1, 1, *photo.pixels.shape[-2:])) * 2 - 1
    return quantise(photo.pixels + signs / 255, photo.pixels, 1 / 255)


def saved_again(photo, path, **options):
    image = change(photo)
    save_photo(image, photo, path, **options)
    return image, load_photo(path)


# Reading


@pytest.mark.parametrize("path", [ASTRONAUT, GRACE_HOPPER], ids=lambda path: path.stem)
def test_pixels_are_those_of_pillow(path):
    photo = load_photo(path)
    wanted = np.asarray(Image.open(path).convert("RGB"))
    assert photo.pixels.dtype == torch.float32
    assert photo.pixels.shape == (1, 3, *wanted.shape[:2])
    assert photo.size == (wanted.shape[1], wanted.shape[0])
    assert np.array_equal((photo.pixels[0] * 255).round().permute(1, 2, 0).numpy(), wanted)
    assert torch.equal(read_pixels(path), photo.pixels)


@pytest.mark.parametrize(
    ("mode", "channels", "is_grey"),
    [("RGB", 3, False), ("RGBA", 4, False), ("L", 1, True), ("LA", 2, True)],
)
@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_mode_and_every_level_survive(tmp_path, mode, channels, is_grey, ending):
    path, out = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    Image.fromarray(draw(channels)).save(path)
    photo = load_photo(path)
    image, again = saved_again(photo, out)
    assert photo.is_grey is is_grey
    with Image.open(out) as stored:
        assert stored.mode == mode == again.mode
    assert torch.equal(again.pixels, image)
    if channels in (2, 4):
        assert torch.equal(again.alpha, photo.alpha)
        assert np.array_equal(photo.alpha.numpy(), draw(channels)[..., -1])
    else:
        assert again.alpha is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_is_lossless_also_under_full_transparency(tmp_path, mode):
    pixels = draw(len(mode))
    pixels[:4, :, -1] = 0
    path, out = tmp_path / "in.webp", tmp_path / "out.webp"
    Image.fromarray(pixels).save(path, lossless=True, exact=True)
    image, again = saved_again(load_photo(path), out)
    assert again.mode == mode
    assert torch.equal(again.pixels, image)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_bmp_keeps_every_level(tmp_path, mode, channels):
    Image.fromarray(draw(channels)).save(tmp_path / "in.bmp")
    image, again = saved_again(load_photo(tmp_path / "in.bmp"), tmp_path / "out.bmp")
    assert again.mode == mode
    assert torch.equal(again.pixels, image)


def test_palette_picture_is_saved_as_rgb_and_says_so(tmp_path):
    Image.fromarray(draw(3)).quantize(64).save(tmp_path / "in.png")
    photo = load_photo(tmp_path / "in.png")
    image, again = saved_again(photo, tmp_path / "out.png")
    assert photo.notes == ("the palette picture is saved as RGB",)
    assert not photo.is_grey
    assert again.mode == "RGB" and torch.equal(again.pixels, image)


def test_transparent_palette_picture_is_saved_as_rgba(tmp_path):
    Image.fromarray(draw(3)).quantize(64).save(tmp_path / "in.png", transparency=0)
    photo = load_photo(tmp_path / "in.png")
    _, again = saved_again(photo, tmp_path / "out.png")
    assert photo.notes == ("the palette picture is saved as RGBA",)
    assert again.mode == "RGBA" and torch.equal(again.alpha, photo.alpha)


def test_transparent_colour_becomes_an_opacity_channel(tmp_path):
    pixels = draw(3)
    pixels[3, 5] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "in.png", transparency=(1, 2, 3))
    photo = load_photo(tmp_path / "in.png")
    assert photo.alpha[3, 5] == 0 and photo.alpha.float().mean() > 200
    assert "opacity channel" in photo.notes[0]


def test_one_bit_picture_is_saved_as_grey(tmp_path):
    Image.fromarray(draw(1) > 127).save(tmp_path / "in.png")
    photo = load_photo(tmp_path / "in.png")
    assert photo.mode == "1" and photo.is_grey
    assert set(photo.pixels.unique().tolist()) == {0, 1}
    _, again = saved_again(photo, tmp_path / "out.png")
    assert again.mode == "L"


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_sixteen_bit_grey_is_kept_and_the_editor_sees_eight(tmp_path, ending):
    values = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"in{ending}")
    photo = load_photo(tmp_path / f"in{ending}")
    assert photo.is_grey
    assert np.array_equal((photo.pixels[0, 0] * 255).round().numpy(), (values / 257).round())
    image, again = saved_again(photo, tmp_path / f"out{ending}")
    assert again.mode == "I;16" and torch.equal(again.pixels, image)
    moved = again.own.values[0].astype(int) - values
    levels_moved = ((image - photo.pixels)[0, 0] * 255).round().numpy()
    inside = (values > 300) & (values < 65000)
    assert np.array_equal(moved[inside], 257 * levels_moved[inside])
    assert describe_losses(photo, tmp_path / f"out{ending}") == ()
    assert describe_losses(photo, "out.jpg") == ("16 bits per channel are saved as 8",)


@pytest.mark.parametrize("icc", [None, b"not a profile"])
def test_cmyk_picture_stays_one_or_says_that_it_does_not(tmp_path, icc):
    Image.fromarray(draw(3)).convert("CMYK").save(tmp_path / "in.tiff", icc_profile=icc)
    photo = load_photo(tmp_path / "in.tiff")
    assert photo.icc is None
    assert [note.partition(":")[0] for note in photo.notes] == (
        ["the colour profile is left out, and colours are taken as without one"] * (icc is not None)
    )
    for ending in (".jpg", ".tiff"):
        image, again = saved_again(photo, tmp_path / f"out{ending}")
        assert again.mode == "CMYK" and describe_losses(photo, f"out{ending}") == ()
    assert levels(again.pixels, image) == 0
    image, again = saved_again(photo, tmp_path / "out.png")
    assert again.mode == "RGB" and torch.equal(again.pixels, image)
    assert describe_losses(photo, "out.png") == ("the CMYK picture is saved as RGB",)


# Orientation, profile, metadata


def test_orientation_given_by_xmp_alone_is_shown_upright(tmp_path):
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    Image.fromarray(draw(3)).save(tmp_path / "in.jpg", xmp=xmp)
    photo = load_photo(tmp_path / "in.jpg")
    assert photo.size == (HEIGHT, WIDTH)
    _, again = saved_again(photo, tmp_path / "out.jpg")
    assert again.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".png", ".webp", ".tiff", ".jpg"])
def test_every_orientation_is_shown_upright_and_stored_as_it_was(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = orientation, "A. Person"
    path, out = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    options = {"lossless": True} if ending == ".webp" else {}
    Image.fromarray(draw(3)).save(path, exif=exif, **options)
    photo = load_photo(path)
    assert photo.orientation == orientation
    assert photo.size == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
    image, again = saved_again(photo, out)
    assert again.orientation == orientation and again.size == photo.size
    with Image.open(out) as stored:
        assert dict(stored.getexif())[0x013B] == "A. Person"
        assert dict(stored.getexif())[0x0112] == orientation
    if ending != ".jpg":
        assert torch.equal(again.pixels, image)


def test_upright_means_what_pillow_shows(tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(draw(3)).save(tmp_path / "in.png", exif=exif)
        with Image.open(tmp_path / "in.png") as stored:
            wanted = np.asarray(ImageOps.exif_transpose(stored))
        pixels = (load_photo(tmp_path / "in.png").pixels[0] * 255).round()
        assert np.array_equal(pixels.permute(1, 2, 0).numpy(), wanted)


def test_bmp_has_no_orientation_and_stays_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(draw(3)).save(tmp_path / "in.png", exif=exif)
    image, again = saved_again(load_photo(tmp_path / "in.png"), tmp_path / "out.bmp")
    assert torch.equal(again.pixels, image)


@pytest.mark.parametrize("ending", [".png", ".webp", ".tiff", ".jpg"])
def test_colour_profile_is_kept(tmp_path, ending):
    Image.fromarray(draw(3)).save(tmp_path / f"in{ending}", icc_profile=SRGB)
    photo = load_photo(tmp_path / f"in{ending}")
    _, again = saved_again(photo, tmp_path / f"out{ending}")
    assert photo.icc == SRGB == again.icc


@pytest.mark.parametrize("ending", [".png", ".tiff", ".jpg", ".bmp"])
def test_resolution_is_kept(tmp_path, ending):
    Image.fromarray(draw(3)).save(tmp_path / f"in{ending}", dpi=(300, 300))
    saved_again(load_photo(tmp_path / f"in{ending}"), tmp_path / f"out{ending}")
    with Image.open(tmp_path / f"out{ending}") as stored:
        assert tuple(map(float, stored.info["dpi"])) == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_bytes_are_kept_but_for_the_preview(tmp_path, order):
    preview = b"\xff\xd8 an unprotected face \xff\xd9"
    artist = b"A. Person\x00"
    first, second = 8, 8 + 2 + 12 + 4
    data = second + 2 + 24 + 4
    block = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)
    block += struct.pack(order + "HHHIII", 1, 0x013B, 2, len(artist), data, second)
    block += struct.pack(order + "H", 2)
    block += struct.pack(order + "HHII", 0x0201, 4, 1, data + len(artist))
    block += struct.pack(order + "HHII", 0x0202, 4, 1, len(preview))
    block += struct.pack(order + "I", 0) + artist + preview
    Image.fromarray(draw(3)).save(tmp_path / "in.jpg", exif=b"Exif\x00\x00" + block)
    assert preview in (tmp_path / "in.jpg").read_bytes()
    photo = load_photo(tmp_path / "in.jpg")
    saved_again(photo, tmp_path / "out.jpg")
    content = (tmp_path / "out.jpg").read_bytes()
    assert "shows the unprotected photo" in photo.notes[0]
    assert b"unprotected face" not in content and artist in content
    assert load_photo(tmp_path / "out.jpg").notes == photo.notes[1:]


@pytest.mark.parametrize(
    "garbage", [b"", b"II", b"MM\x00*\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00\x09"]
)
def test_damaged_exif_does_not_stop_a_photo(tmp_path, garbage):
    Image.fromarray(draw(3)).save(tmp_path / "in.jpg", exif=b"Exif\x00\x00" + garbage)
    photo = load_photo(tmp_path / "in.jpg")
    assert photo.orientation == 1
    saved_again(photo, tmp_path / "out.jpg")


def test_jpeg_is_saved_in_high_quality_with_full_colour_resolution(tmp_path):
    photo = load_photo(GRACE_HOPPER)
    save_photo(photo.pixels, photo, tmp_path / "high.jpg")
    save_photo(photo.pixels, photo, tmp_path / "low.jpg", quality=50)
    with Image.open(tmp_path / "high.jpg") as stored:
        assert stored.layer[0][1:3] == stored.layer[1][1:3] == (1, 1)
    difference = (read_pixels(tmp_path / "high.jpg") - photo.pixels).abs().mean() * 255
    assert difference < 1.5
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size / 2


def test_phone_jpeg_with_a_second_picture_is_one_photo(tmp_path):
    first, second = (Image.fromarray(draw(3, seed)) for seed in (0, 1))
    first.save(tmp_path / "in.jpg", "MPO", save_all=True, append_images=[second])
    photo = load_photo(tmp_path / "in.jpg")
    assert photo.format == "JPEG"
    assert photo.notes == ("the further pictures in this file are left out",)
    _, again = saved_again(photo, tmp_path / "out.jpg")
    assert again.notes == ()


# Rounding and budget


@given(st.integers(0, 255), st.floats(0, 300), st.floats(-400, 700))
def test_quantise_stays_within_budget_and_range(level, budget, wish):
    original = torch.full((1, 3, 2, 2), level / 255)
    result = quantise(torch.full_like(original, wish / 255), original, budget / 255)
    got = (result.double() * 255).round()
    assert torch.allclose(result.double() * 255, got, atol=1e-4)
    assert 0 <= got.min() and got.max() <= 255
    assert levels(original, result) <= budget + 1e-6


@given(st.integers(0, 255), st.floats(-3.4, 3.4))
def test_quantise_rounds_to_the_nearest_level_where_it_may(level, difference):
    original = torch.full((1, 3, 1, 1), level / 255)
    wish = min(max(level + difference, 0), 255)
    result = quantise(torch.full_like(original, wish / 255), original, 8 / 255)
    assert abs(float(result[0, 0, 0, 0]) * 255 - wish) <= 0.5 + 1e-3


def test_budget_counts_whole_levels():
    original = torch.full((1, 3, 4, 4), 100 / 255)
    for epsilon, whole in [(8 / 255, 8), (12.75 / 255, 12), (0.5 / 255, 0), (0.1, 25), (1.0, 155)]:
        assert levels(original, quantise(torch.ones_like(original), original, epsilon)) == whole


def test_levels_refuses_pictures_of_different_size():
    with pytest.raises(InputError, match="9 x 8 and 8 x 8; they must have the same size"):
        levels(torch.zeros(1, 3, 8, 9), torch.zeros(1, 3, 8, 8))


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_saved_photo_stays_within_budget(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("budget")
    Image.fromarray(draw(3, seed)).save(folder / "in.png")
    photo = load_photo(folder / "in.png")
    noise = torch.rand(photo.pixels.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    save_photo(quantise(photo.pixels + noise, photo.pixels, 8 / 255), photo, folder / "out.png")
    assert levels(photo.pixels, read_pixels(folder / "out.png")) <= 8


# What is refused


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file .*nothing.png"):
        load_photo(tmp_path / "nothing.png")


def test_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder; it must be a picture"):
        load_photo(tmp_path)


@pytest.mark.parametrize("content", [b"", b"some words\n" * 20])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "words.png").write_bytes(content)
    with pytest.raises(InputError, match="is not a picture that can be read here"):
        load_photo(tmp_path / "words.png")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tiff", ".bmp"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_file_is_refused(tmp_path, ending, part):
    path = tmp_path / f"cut{ending}"
    Image.fromarray(draw(3)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match="damaged or cut short|not a picture"):
        load_photo(path)


def test_damaged_chunk_is_refused(tmp_path):
    path = tmp_path / "damaged.png"
    Image.fromarray(draw(3)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load_photo(path)


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png", ".tiff"])
def test_animation_is_refused_and_named_so(tmp_path, ending):
    path = tmp_path / f"moving{ending}"
    frames = [Image.fromarray(draw(3, seed)) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"animated or has several pages \(3\)"):
        load_photo(path)


@pytest.mark.parametrize("size", [(15, 40), (40, 15), (1, 1)])
def test_tiny_picture_is_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "tiny.png")
    with pytest.raises(InputError, match="both sides must be at least 16"):
        load_photo(tmp_path / "tiny.png")


def test_floating_point_colours_are_refused(tmp_path):
    Image.fromarray(draw(1).astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(InputError, match="colours are F; they must be RGB"):
        load_photo(tmp_path / "float.tiff")


def test_wrong_size_is_not_saved(tmp_path):
    photo = load_photo(ASTRONAUT)
    with pytest.raises(InputError, match="is 100 x 512; the photo is 512 x 512"):
        save_photo(photo.pixels[..., :100], photo, tmp_path / "out.png")


def test_colour_in_a_grey_photo_is_not_saved(tmp_path):
    Image.fromarray(draw(1)).save(tmp_path / "grey.png")
    photo = load_photo(tmp_path / "grey.png")
    with pytest.raises(InputError, match="the photo is grey"):
        save_photo(torch.rand_like(photo.pixels), photo, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("name", ["out.gif", "out", "out.txt"])
def test_unknown_ending_is_refused(tmp_path, name):
    photo = load_photo(ASTRONAUT)
    with pytest.raises(InputError, match=r"Use one of .jpg, .jpeg, .png"):
        save_photo(photo.pixels, photo, tmp_path / name)


@pytest.mark.parametrize("name", ["out.jpg", "out.bmp"])
def test_transparency_is_not_dropped_silently(tmp_path, name):
    Image.fromarray(draw(4)).save(tmp_path / "in.png")
    photo = load_photo(tmp_path / "in.png")
    with pytest.raises(InputError, match="transparency"):
        check_output(photo, tmp_path / name)


def test_picture_too_large_for_the_format_says_so(tmp_path):
    Image.new("RGB", (16400, 16)).save(tmp_path / "wide.png")
    photo = load_photo(tmp_path / "wide.png")
    with pytest.raises(InputError, match="cannot be written as WEBP"):
        save_photo(photo.pixels, photo, tmp_path / "out.webp")
    assert sorted(os.listdir(tmp_path)) == ["wide.png"]


@pytest.mark.parametrize(
    "interruption", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt]
)
def test_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, interruption):
    photo = load_photo(ASTRONAUT)
    out = tmp_path / "out.png"
    out.write_bytes(b"as it was")

    def fail(_):
        raise interruption

    monkeypatch.setattr(os, "fsync", fail)
    expected = InputError if isinstance(interruption, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        save_photo(photo.pixels, photo, out)
    if expected is InputError:
        assert "The disk is full" in str(caught.value)
    assert out.read_bytes() == b"as it was"
    assert os.listdir(tmp_path) == ["out.png"]
