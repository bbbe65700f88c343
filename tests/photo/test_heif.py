"""HEIC and AVIF: told by their first bytes, described by their boxes, missing extras named."""

import builtins
import struct

import pytest

from decontext.errors import InputError
from decontext.photo.boxes import Description, describe_boxes
from decontext.photo.codes import profile_of_codes
from decontext.photo.heif import is_heif
from decontext.photo.images import check_output, load_photo
from decontext.photo.photo import SMALLEST_SIDE
from tests.fuzz.seeds import draw, encode


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def container(primaries=1, transfer=13, *, extra=b"", auxiliary=b"", references=b""):
    colour = box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 6, 128))
    depth = box(b"av1C", bytes([0x81, 0, 0x40, 0]))
    kinds = box(b"ipco", colour, depth, auxiliary)
    associations = box(b"ipma", bytes(4), struct.pack(">IHBBB", 1, 7, 2, 1, 2))
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), struct.pack(">H", 7)),
        references,
        box(b"iprp", kinds, associations),
    )
    return box(b"ftyp", b"avif", bytes(4)) + meta + extra


def test_boxes_say_depth_and_codes_of_the_main_picture():
    assert describe_boxes(container(12, 16)) == Description(10, 12, 16)


def test_boxes_name_further_pictures():
    auxiliary = box(b"auxC", bytes(4), b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    references = box(b"iref", bytes(4), box(b"thmb", bytes(6)))
    said = describe_boxes(
        container(auxiliary=auxiliary, references=references, extra=box(b"mpvd", b"video"))
    )
    assert said.others == ("a thumbnail", "a map for HDR screens", "a video")


def test_boxes_of_anything_are_only_not_said():
    whole = container()
    for length in range(len(whole)):
        describe_boxes(whole[:length])
    assert describe_boxes(b"") == Description()


@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        (box(b"ftyp", b"heic", bytes(4)), True),
        (box(b"ftyp", b"mif1", bytes(4), b"mif1", b"heic"), True),
        (box(b"ftyp", b"mif1", bytes(4), b"mif1", b"avif"), False),
        (box(b"ftyp", b"avif", bytes(4)), False),
        (b"\xff\xd8\xff\xe0 JFIF", False),
    ],
)
def test_heic_is_told_by_its_brands(start, wanted):
    assert is_heif(start) is wanted


def test_missing_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        InputError, match=r"is HEIC, which needs pillow-heif. Run: pip install 'dec"
    ):
        load_photo(box(b"ftyp", b"heic", bytes(4)) + bytes(40))
    with pytest.raises(InputError, match="needs pillow-heif"):
        check_output(load_photo(encode(draw(), "PNG")), tmp_path / "out.heic")


@pytest.mark.parametrize(("primaries", "name"), [(9, "Rec. 2020"), (12, "Display P3")])
def test_codes_of_wide_colours_become_a_profile(primaries, name):
    assert name.encode("utf-16-be") in profile_of_codes(primaries, 13, "the photo")
    assert profile_of_codes(1, 13, "the photo") is None


@pytest.mark.parametrize("ending", [".heic", ".avif"])
def test_smallest_photo_is_saved(tmp_path, ending):
    if ending == ".heic":
        pytest.importorskip("pillow_heif", reason="HEIC NOT TESTED: pip install 'decontext[heif]'")
    picture = draw().resize((SMALLEST_SIDE, SMALLEST_SIDE))
    check_output(load_photo(encode(picture, "PNG")), tmp_path / f"out{ending}")
