"""Whatever a file is, reading it gives a photo or says what is wrong with it."""

import contextlib
import hashlib
import io
import logging
import os
import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from decontext.errors import InputError
from decontext.photo.decoders import quiet_decoders
from decontext.photo.limits import MAX_PIXELS, VARIABLE
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.photo.reading import load_photo


def encode(file_format="PNG", size=(40, 24), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, file_format, **options)
    return content.getvalue()


class Stream(io.RawIOBase):
    """A file that cannot be rewound."""

    def __init__(self, content):
        super().__init__()
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.content.readinto(buffer)


# Where a photo may come from


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO, Stream])
def test_bytes_and_files_give_the_photo_of_the_path(wrap):
    content = GRACE_HOPPER.read_bytes()
    photo, wanted = load_photo(wrap(content)), load_photo(GRACE_HOPPER)
    assert torch.equal(photo.pixels, wanted.pixels)
    assert photo.exif == wanted.exif and photo.icc == wanted.icc
    assert photo.sha256 == wanted.sha256 == hashlib.sha256(content).hexdigest()
    assert wanted.from_file and wanted.path == GRACE_HOPPER
    assert not photo.from_file and str(photo.path) == "photo.jpg"


def test_open_file_is_read_from_its_start_and_left_open(tmp_path):
    (tmp_path / "in.png").write_bytes(encode())
    with open(tmp_path / "in.png", "rb") as file:
        file.read(10)
        assert load_photo(file).size == (40, 24)
        assert not file.closed


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, "is of type int; it must be a path, bytes, or a file"),
        (io.StringIO("words"), "gives str; it must give bytes. Open it with mode 'rb'"),
        (b"", "the photo is not a picture that can be read here"),
        (io.BytesIO(b"\xff\xd8\xff\xe0 cut"), "the photo is damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_named(source, message):
    with pytest.raises(InputError, match=message):
        load_photo(source)


def test_closed_file_is_an_input_error(tmp_path):
    file = io.BytesIO(encode())
    file.close()
    with pytest.raises(InputError, match="cannot be read from its file"):
        load_photo(file)


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "a\0b.png"])
def test_impossible_name_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match=r"cannot be read \((File name too long|embedded null)"):
        load_photo(tmp_path / name)


def test_name_that_is_no_text_can_be_read(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(encode())
    assert load_photo(path).size == (40, 24)


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is not a file"):
        load_photo(tmp_path / "pipe.png")


# Which formats


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("EPS", {}), ("PPM", {}), ("TGA", {}), ("ICO", {}), ("PDF", {}), ("SGI", {})],
)
def test_no_other_decoder_is_started(tmp_path, file_format, options):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(file_format, **options))
    with pytest.raises(InputError, match="not a picture that can be read here"):
        load_photo(path)


def test_gif_of_one_frame_is_read(tmp_path):
    path = tmp_path / "in.gif"
    Image.open(ASTRONAUT).quantize(64).save(path)
    photo = load_photo(path)
    with Image.open(path) as stored:
        wanted = np.asarray(stored.convert("RGB"))
    assert np.array_equal((photo.pixels[0] * 255).round().permute(1, 2, 0).numpy(), wanted)
    assert photo.notes == ("the palette picture is saved as RGB",)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int16])
def test_picture_of_unknown_white_is_refused(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 30_000, (24, 40)).astype(dtype)
    path = tmp_path / "in.tiff"
    _write_grey_tiff(path, values)
    with pytest.raises(InputError, match="32 bits per channel, or signed ones"):
        load_photo(path)


def _write_grey_tiff(path, values):
    """A TIFF file of one strip, with what Pillow does not write: the kind of numbers."""
    import struct

    height, width = values.shape
    kind = 2 if values.dtype.kind == "i" else 1
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, values.dtype.itemsize * 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 12 * 9 + 4),
        (277, 3, 1),
        (279, 4, values.nbytes),
        (339, 3, kind),
    ]
    block = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, form, value in entries:
        block += struct.pack("<HHII", tag, form, 1, value)
    path.write_bytes(block + struct.pack("<I", 0) + values.tobytes())


# How large


def claim(width, height):
    """A small PNG file that claims another size."""
    import struct
    import zlib

    content = bytearray(encode())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def test_picture_that_claims_too_many_pixels_is_not_decoded():
    with pytest.raises(InputError, match=r"claims 20000 x 20000 pixels \(400 million\); up to 120"):
        load_photo(claim(20_000, 20_000))


def test_picture_far_larger_than_its_file_is_not_decoded():
    content = claim(10_000, 10_000)
    with pytest.raises(InputError, match=f"100 million\\) in {len(content):,} bytes; a photo of"):
        load_photo(content)


def test_limit_can_be_raised_and_lowered(monkeypatch):
    content = claim(13_000, 13_000)
    for allow in (
        lambda: {"max_pixels": 200_000_000},
        lambda: monkeypatch.setenv(VARIABLE, "2" * 9),
    ):
        with pytest.raises(InputError, match="damaged or cut short"):  # It is decoded now.
            load_photo(content, **(allow() or {}))
    monkeypatch.setenv(VARIABLE, "900")
    with pytest.raises(InputError, match=r"40 x 24 pixels \(0 million\); up to 0.0009 million"):
        load_photo(encode())
    assert load_photo(encode(), max_pixels=960).size == (40, 24)


@pytest.mark.parametrize("text", ["many", "0", "-5", "1e9"])
def test_limit_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match=f"{VARIABLE} is '{text}'; it must be a number of pixels"):
        load_photo(encode())


def test_limit_lets_large_cameras_through():
    assert MAX_PIXELS >= 102_000_000


# Quiet


def test_harmless_damage_is_not_warned_of_and_filters_come_back():
    content = bytearray(encode("TIFF", dpi=(72, 72)))
    before = list(warnings.filters)
    load_photo(bytes(content))
    with quiet_decoders(), quiet_decoders():
        exec(
            compile("import warnings; warnings.warn('damage')", "x", "exec"), {"__name__": "PIL.x"}
        )
    assert list(warnings.filters) == before


def test_filters_come_back_after_threads_that_overlap():
    before, inside, done = list(warnings.filters), threading.Barrier(2), threading.Event()

    def first():
        with quiet_decoders():
            inside.wait(10)

    def second():
        with quiet_decoders():
            inside.wait(10)
            done.wait(10)

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    threads[0].join(10)
    done.set()
    threads[1].join(10)
    assert list(warnings.filters) == before


def test_libtiff_prints_nothing_while_a_photo_is_read_and_as_before_afterwards(capfd):
    content = bytearray(encode("TIFF", compression="tiff_lzw"))
    content[200:400] = b"\xff" * 200

    def decode():
        with Image.open(io.BytesIO(bytes(content))) as image, contextlib.suppress(OSError):
            image.load()

    decode()
    noise = capfd.readouterr().err
    assert noise != ""
    with pytest.raises(InputError, match="damaged or cut short"):
        load_photo(bytes(content))
    assert capfd.readouterr() == ("", "")
    decode()
    assert capfd.readouterr().err == noise


def test_log_of_pillow_is_not_printed(capfd):
    with quiet_decoders():
        logging.getLogger("PIL.TiffImagePlugin").error("More samples than can be decoded")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("PIL").handlers == []
