"""Metadata survive, no picture of the unprotected photo does, and personal data are named."""

import base64
import io
import re
import struct

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, TiffImagePlugin

from decontext.errors import InputError
from decontext.photo.directories import (
    PREFIX,
    byte_order,
    first_directory,
    following,
    next_pointer,
    read_entries,
)
from decontext.photo.images import (
    check_output,
    choose_metadata,
    describe_losses,
    load_photo,
    save_photo,
)
from decontext.photo.metadata import KEPT
from decontext.photo.previews import blank_pictures, remove_previews
from tests.fuzz.seeds import (
    MARK,
    XMP,
    add_segment,
    draw,
    encode,
    make_exif,
    make_preview,
    make_resources,
)

EXIF = make_exif()
ENDINGS = [".jpg", ".png", ".webp", ".tiff"]


def save(content, path):
    photo = load_photo(content)
    check_output(photo, path)
    save_photo(photo.pixels, photo, path)
    return photo


def tags_of(path):
    """Every tag of a file by directory, as Pillow reads them."""
    with Image.open(path) as image:
        exif = image.getexif()
        found = {"first": {key: exif[key] for key in exif}}
        for name in ("Exif", "GPSInfo", "Interop"):
            try:
                found[name] = dict(exif.get_ifd(getattr(ExifTags.IFD, name)))
            except KeyError:  # Pillow before 13 says so where there is no such directory
                found[name] = {}
        return found


# What is kept


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_exif_and_place_survive_in_every_format(tmp_path, order, ending):
    save(encode(draw(), "JPEG", exif=make_exif(order=order)), tmp_path / f"out{ending}")
    found = tags_of(tmp_path / f"out{ending}")
    assert found["first"][ExifTags.Base.Artist] == "A. Person"
    assert found["Exif"][ExifTags.Base.CameraOwnerName] == "Owner Name"
    assert found["Exif"][ExifTags.Base.ExposureTime] == pytest.approx(1 / 250)
    assert found["Exif"][ExifTags.Base.MakerNote].startswith(b"Maker\0" + bytes(range(64)))
    assert found["GPSInfo"][2] == (48, 12, 30) and found["GPSInfo"][3] == "E"
    again = load_photo(tmp_path / f"out{ending}")
    assert torch.equal(again.pixels, load_photo(tmp_path / f"out{ending}").pixels)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_exif_directories_survive_from_tiff_to_tiff(tmp_path, compression):
    path = tmp_path / "in.tiff"
    save(encode(draw(), "JPEG", exif=EXIF, xmp=XMP, dpi=(300, 300)), path)
    with Image.open(path) as image:
        image.load()
        content = path.read_bytes()
    photo = save(content, tmp_path / "again.tiff")
    assert tags_of(tmp_path / "again.tiff")["GPSInfo"] == tags_of(path)["GPSInfo"]
    assert tags_of(tmp_path / "again.tiff")["Exif"] == tags_of(path)["Exif"]
    assert photo.xmp == XMP
    with Image.open(tmp_path / "again.tiff") as image:
        assert image.info["compression"] == "tiff_adobe_deflate"
        assert tuple(map(float, image.info["dpi"])) == (300, 300)


def test_interoperability_directory_is_copied(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R98"}
    save(encode(draw(), "JPEG", exif=exif), tmp_path / "out.tiff")
    assert tags_of(tmp_path / "out.tiff")["Interop"] == {1: "R98"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_xmp_survives_and_says_how_the_saved_pixels_lie(tmp_path, ending):
    def describe(orientation):
        return XMP.replace(b"dc:creator", b'tiff:Orientation="%d" dc:creator' % orientation)

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    content = encode(draw(), "JPEG", xmp=describe(6), exif=exif)
    photo = save(content, tmp_path / f"out{ending}")
    assert photo.orientation == 3 and photo.xmp == describe(3)
    again = load_photo(tmp_path / f"out{ending}")
    assert again.xmp == photo.xmp and again.size == photo.size


def test_entries_that_claim_the_whole_block_do_not_multiply_it(tmp_path):
    count = 900
    block = struct.pack("<2sHIH", b"II", 42, 8, 1)
    block += struct.pack("<HHII", 0x8769, 4, 1, 26) + bytes(4)
    size = 26 + 2 + 12 * count + 4 + 50_000
    block += struct.pack("<H", count)
    for tag in range(count):
        block += struct.pack("<HHII", tag, 7, size - 8, 8)
    block += bytes(size - len(block))
    save(encode(draw(), "PNG", exif=PREFIX + block), tmp_path / "out.tiff")
    assert (tmp_path / "out.tiff").stat().st_size < 4 * size


# What is refused before the work


def test_exif_too_long_for_jpeg_is_refused_and_can_be_left_out(tmp_path):
    exif = make_exif(note=b"Maker\0" + bytes(range(1, 256)) * 300)
    photo = load_photo(encode(draw(), "PNG", exif=exif))
    with pytest.raises(InputError, match=r"as JPEG \(EXIF data is too long\).*--strip-metadata"):
        check_output(photo, tmp_path / "out.jpg")
    check_output(photo, tmp_path / "out.png")
    bare = choose_metadata(photo, "none")
    check_output(bare, tmp_path / "out.jpg")
    save_photo(bare.pixels, bare, tmp_path / "out.jpg")


@pytest.mark.parametrize(
    ("size", "name"),
    [((16_384, 16), "out.webp"), ((16, 65_501), "out.jpg"), ((32_769, 16), "out.avif")],
)
def test_size_that_a_format_cannot_hold_is_refused(tmp_path, size, name):
    photo = load_photo(encode(Image.new("L", size), "PNG"))
    with pytest.raises(InputError, match=r"cannot be written as .*, which holds up to [136]"):
        check_output(photo, tmp_path / name)
    check_output(photo, tmp_path / "out.png")


@pytest.mark.parametrize("size", [(16_383, 16), (16, 16_383)])
def test_largest_side_of_webp_is_saved(tmp_path, size):
    save(encode(Image.new("L", size), "PNG"), tmp_path / "out.webp")


@pytest.mark.parametrize("quality", [0, 101, -3])
def test_quality_out_of_range_is_refused(tmp_path, quality):
    photo = load_photo(encode(draw(), "PNG"))
    with pytest.raises(InputError, match="it must be from 1 to 100"):
        check_output(photo, tmp_path / "out.jpg", quality=quality)


@pytest.mark.parametrize("resolution", [float("nan"), float("inf"), 0.0, 1e12, -72.0])
@pytest.mark.parametrize("ending", [*ENDINGS, ".bmp"])
def test_absurd_resolution_is_left_out(tmp_path, resolution, ending):
    described = TiffImagePlugin.ImageFileDirectory_v2()
    described.tagtype[282] = described.tagtype[283] = 12
    described[282], described[283], described[296] = resolution, resolution, 2
    photo = save(encode(draw(), "TIFF", tiffinfo=described), tmp_path / f"out{ending}")
    assert "dpi" not in photo.options


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "a\0b.png"])
def test_impossible_output_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot be written"):
        check_output(load_photo(encode(draw(), "PNG")), tmp_path / name)


# No picture of the unprotected photo


def contains_picture(content):
    """Whether metadata hold the mark of a preview, plainly or in letters."""
    letters = re.sub(rb"\s", b"", content)
    return MARK in content or any(
        base64.b64encode(bytes(shift) + MARK)[8:40] in letters for shift in range(3)
    )


def short_count():
    """An EXIF block whose thumbnail is said to be 10 bytes long."""
    exif = bytearray(make_exif(note=b"none"))
    body, order = exif[6:], "<"
    for directory in following(body, first_directory(body, order), order):
        for entry in read_entries(body, directory, order):
            if entry.tag == 0x0202:
                struct.pack_into("<I", exif, 6 + entry.place + 8, 10)
    return bytes(exif)


def in_note(change):
    return make_exif(note=b"Maker\0" + bytes(40) + change(make_preview()), preview=b"\xff\xd8\xff")


def nested():
    """A preview that holds one of its own."""
    return add_segment(make_preview(), 0xE1, make_exif(note=b"none"))


HIDING_PLACES = {
    "thumbnail": encode(draw(), "JPEG", exif=make_exif(note=b"none")),
    "thumbnail, wrong count": encode(draw(), "JPEG", exif=short_count()),
    "maker note": encode(draw(), "JPEG", exif=in_note(bytes)),
    "maker note, cut short": encode(draw(), "JPEG", exif=in_note(lambda jpeg: jpeg[:-40])),
    "maker note, first byte changed": encode(
        draw(), "JPEG", exif=in_note(lambda jpeg: b"\0" + jpeg[1:])
    ),
    "maker note, nested": encode(draw(), "JPEG", exif=in_note(lambda _: nested())),
    "maker note in PNG": encode(draw(), "PNG", exif=in_note(bytes)),
    "maker note in WebP": encode(draw(), "WEBP", exif=in_note(bytes)),
    "letters": encode(draw(), "JPEG", exif=in_note(base64.encodebytes)),
    "XMP": encode(
        draw(),
        "JPEG",
        xmp=XMP.replace(b"A. Person", b"xmp:Thumbnails " + base64.b64encode(make_preview())),
    ),
    "Photoshop": add_segment(encode(draw(), "JPEG"), 0xED, make_resources()),
    "extended XMP": add_segment(
        encode(draw(), "JPEG", xmp=XMP),
        0xE1,
        b"http://ns.adobe.com/xmp/extension/\0" + bytes(40) + base64.b64encode(make_preview()),
    ),
    "FlashPix": add_segment(encode(draw(), "JPEG"), 0xE2, b"FPXR\0" + make_preview()),
    "further picture": encode(draw(), "MPO", save_all=True, append_images=[draw(seed=1)])
    + make_preview(),
    "behind the end": encode(draw(), "JPEG") + make_preview(),
    "comment": encode(draw(), "JPEG", comment=make_preview()),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_no_picture_of_the_unprotected_photo_is_saved(tmp_path, place):
    assert contains_picture(HIDING_PLACES[place])
    for ending in (*ENDINGS, ".bmp"):
        save(HIDING_PLACES[place], tmp_path / f"out{ending}")
        content = (tmp_path / f"out{ending}").read_bytes()
        assert not contains_picture(content), ending
        if ending != ".jpg":
            assert b"\xff\xd8\xff" not in content.replace(b"\xff\xd8\xff\xd8", b""), ending


def test_plain_thumbnail_with_a_wrong_count_is_blanked(tmp_path):
    rows = bytes(range(1, 193)) * 4  # 16 x 16 pixels of RGB.
    first, second = 8, 14
    entries = [(256, 16), (257, 16), (259, 1), (273, second + 2 + 12 * 6 + 4), (277, 3), (279, 20)]
    block = struct.pack("<2sHIHI", b"II", 42, first, 0, second) + struct.pack("<H", len(entries))
    for tag, value in entries:
        block += struct.pack("<HHII", tag, 4, 1, value)
    block += bytes(4) + rows
    cleaned, found = remove_previews(block)
    assert found and rows[:20] not in cleaned and rows[-60:] not in cleaned
    assert len(cleaned) == len(block)


def test_pointer_to_the_thumbnail_is_zero_and_notes_stay_where_they_are():
    block = EXIF.removeprefix(PREFIX)
    cleaned, found = remove_previews(block)
    order = byte_order(block)
    first = first_directory(block, order)
    assert found and list(following(block, first, order)) != []
    assert list(following(cleaned, first, order)) == []
    place = next_pointer(block, first, order)
    same = [a == b for a, b in zip(block, cleaned, strict=True)]
    preview = block.index(make_preview())
    assert all(same[:place]) and all(same[place + 4 : preview])


def test_bytes_that_only_begin_like_a_picture_stay():
    for harmless in (b"\xd8\xff\xe1 words and no picture" * 3, bytes(range(256)) * 4):
        body = bytearray(harmless)
        assert not blank_pictures(body) and body == harmless


def test_metadata_of_random_bytes_never_raise():
    rng = np.random.default_rng(0)
    for _ in range(500):
        head = bytes(rng.choice([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
        block = head + rng.integers(0, 256, 200, np.uint8).tobytes()
        remove_previews(block)
        photo = load_photo(encode(draw(), "PNG"))
        for keep in ("no-location", "none"):
            choose_metadata(_with(photo, exif=PREFIX + block), keep)


def _with(photo, **changes):
    from dataclasses import replace

    return replace(photo, **changes)


# Personal data


def test_personal_data_that_stay_are_named():
    photo = load_photo(encode(draw(), "JPEG", exif=EXIF, xmp=XMP))
    (note,) = [note for note in photo.notes if note.startswith(KEPT)]
    for words in ("place where it was taken", "author's name", "owner's name", "serial number"):
        assert words in note
    assert "XMP data" in note and "--strip-metadata" in note and "--strip-location" in note


def test_photo_without_personal_data_is_not_noted():
    assert load_photo(encode(draw(), "JPEG", dpi=(72, 72))).notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_place_can_be_left_out_alone(tmp_path, order, ending):
    content = encode(draw(), "JPEG", exif=make_exif(order=order), xmp=XMP)
    photo = choose_metadata(load_photo(content), "no-location")
    save_photo(photo.pixels, photo, tmp_path / f"out{ending}")
    found = tags_of(tmp_path / f"out{ending}")
    assert found["GPSInfo"] == {}
    assert ExifTags.IFD.GPSInfo not in found["first"]
    assert found["first"][ExifTags.Base.Artist] == "A. Person"
    assert found["Exif"][ExifTags.Base.BodySerialNumber] == "SERIAL-12345"
    degrees = struct.pack(order + "6I", 48, 1, 12, 1, 30, 1)
    assert degrees in content and degrees not in photo.exif
    (note,) = [note for note in photo.notes if note.startswith(KEPT)]
    assert "place" not in note and "serial number" in note
    assert photo.xmp == XMP


@pytest.mark.parametrize("words", ["opacity", "a statement", "velocity", "dc:rights"])
def test_words_that_name_no_place_stay(words):
    xmp = XMP.replace(b"A. Person", words.encode())
    photo = load_photo(encode(draw(), "JPEG", xmp=xmp))
    assert "place" not in " ".join(photo.notes)
    assert choose_metadata(photo, "no-location").xmp == xmp


@pytest.mark.parametrize(
    "name",
    ["exif:GPSLatitude", "photoshop:City", "photoshop:State", "Iptc4xmpCore:Location"],
)
def test_xmp_that_names_a_place_is_left_out_with_the_place(name):
    xmp = XMP.replace(b"dc:creator", name.encode() + b'="48,12.5N" dc:creator')
    photo = choose_metadata(load_photo(encode(draw(), "JPEG", xmp=xmp)), "no-location")
    assert photo.xmp is None
    assert photo.notes == ("the XMP data are left out: they name a place",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_without_metadata_is_shown_as_before(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Artist] = orientation, "A. Person"
    photo = load_photo(encode(draw(), "PNG", exif=exif))
    bare = choose_metadata(photo, "none")
    save_photo(bare.pixels, bare, tmp_path / "out.png")
    again = load_photo(tmp_path / "out.png")
    assert torch.equal(again.pixels, photo.pixels)
    assert again.exif is None and bare.notes == ()
    assert b"A. Person" not in (tmp_path / "out.png").read_bytes()


def test_unknown_choice_of_metadata_is_refused():
    with pytest.raises(InputError, match="it must be 'keep', 'no-location' or 'none'"):
        choose_metadata(load_photo(encode(draw(), "PNG")), "some")


def test_captions_and_comment_are_kept_and_what_else_photoshop_says_is_not():
    content = add_segment(encode(draw(), "JPEG", comment=b"words"), 0xED, make_resources())
    photo = load_photo(content)
    assert photo.iptc == b"\x1c\x02\x78\x00\x05words"
    assert photo.texts == (("Comment", "words"),)
    assert photo.notes[0] == "left out: Photoshop's own data"
    assert "captions and keywords (IPTC)" in photo.notes[1]
    assert describe_losses(photo, "out.bmp") == (
        "BMP files cannot hold what is left out: captions and keywords (IPTC), the comment",
    )


def test_damaged_tag_of_a_tiff_is_left_out_alone_and_said_so(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "A. Person", "nobody"
    content = io.BytesIO()
    draw().save(content, "TIFF", exif=exif)
    damaged = bytearray(content.getvalue())
    for entry in read_entries(damaged, first_directory(damaged, "<"), "<"):
        if entry.tag == ExifTags.Base.Copyright:
            struct.pack_into("<HI", damaged, entry.place + 2, 5, 1)
            struct.pack_into("<I", damaged, entry.place + 8, len(damaged))
    damaged += struct.pack("<II", 1, 0)  # One by zero, for a text.
    photo = load_photo(bytes(damaged))
    save_photo(photo.pixels, photo, tmp_path / "out.tiff")
    assert tags_of(tmp_path / "out.tiff")["first"][ExifTags.Base.Artist] == "A. Person"
