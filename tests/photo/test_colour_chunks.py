"""What PNG files say of their colours without a profile stays, and what goes is said."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from decontext.photo.images import describe_losses, load_photo, save_photo
from decontext.photo.png import SRGB_GAMMA, SRGB_PLACES, read_chunks

ADOBE_PLACES = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
GAMMA = struct.pack(">I", 100_000)
PLACES = struct.pack(">8I", *ADOBE_PLACES)


def make(path: Path, **chunks: bytes) -> Path:
    """A small picture with these chunks."""
    info = PngImagePlugin.PngInfo()
    for kind, data in chunks.items():
        info.add(kind.encode(), data)
    shades = np.arange(24 * 20 * 3, dtype=np.uint32).reshape(20, 24, 3) % 251
    Image.fromarray(shades.astype(np.uint8)).save(path, pnginfo=info)
    return path


def chunks_of(path: Path) -> dict[bytes, bytes]:
    content = path.read_bytes()
    return {kind: content[start:end] for kind, start, end in read_chunks(content)}


def test_gamma_and_primaries_stay_in_png_and_are_named(tmp_path: Path) -> None:
    photo = load_photo(make(tmp_path / "a.png", gAMA=GAMMA, cHRM=PLACES))
    (note,) = (note for note in photo.notes if "gamma" in note)
    assert note.startswith("the file names a gamma of 1 and primaries of its own, which editors")
    save_photo(photo.pixels, photo, tmp_path / "b.png")
    saved = chunks_of(tmp_path / "b.png")
    assert (saved[b"gAMA"], saved[b"cHRM"]) == (GAMMA, PLACES)
    assert list(saved).index(b"gAMA") < list(saved).index(b"IDAT")
    assert describe_losses(photo, tmp_path / "b.png") == ()
    (lost,) = describe_losses(photo, tmp_path / "b.jpg")
    assert lost == "JPEG files cannot hold what is left out: a gamma of 1 and primaries of its own"
    # What is read does not change by them, as it does not in the programs that editors use.
    plain = load_photo(make(tmp_path / "c.png"))
    assert bool((plain.pixels == photo.pixels).all())


@pytest.mark.parametrize("kind", ["sRGB", "gAMA and cHRM"])
def test_chunks_that_say_srgb_need_no_words(tmp_path: Path, kind: str) -> None:
    chunks = {"gAMA": struct.pack(">I", SRGB_GAMMA), "cHRM": struct.pack(">8I", *SRGB_PLACES)}
    if kind == "sRGB":
        chunks = {"sRGB": b"\x00", "gAMA": GAMMA}
    photo = load_photo(make(tmp_path / "a.png", **chunks))
    assert photo.notes == ()
    assert describe_losses(photo, tmp_path / "b.jpg") == ()
    save_photo(photo.pixels, photo, tmp_path / "b.png")
    saved = chunks_of(tmp_path / "b.png")
    assert {name: saved[name.encode()] for name in chunks} == chunks


def test_a_gamma_of_nothing_is_left_out(tmp_path: Path) -> None:
    assert load_photo(make(tmp_path / "a.png", gAMA=bytes(4))).options["png_colours"] == ()


def jpeg_with_extension(packet: bytes, *, more: bytes = b"") -> bytes:
    """A JPEG whose packet says that it goes on in a further segment."""
    content = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(content, "JPEG", xmp=packet)
    file = content.getvalue()
    extension = b"http://ns.adobe.com/xmp/extension/\x00" + b"A" * 32 + struct.pack(">II", 9, 0)
    data = extension + b"<rdf:RDF/>" + more
    segment = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return file[:2] + segment + file[2:]


@pytest.mark.parametrize(
    "said",
    [
        b'<rdf:Description xmpNote:HasExtendedXMP="%s" dc:title="T"/>' % (b"A" * 32),
        b"<rdf:Description dc:title='T'><xmpNote:HasExtendedXMP>%s</xmpNote:HasExtendedXMP>"
        b"</rdf:Description>" % (b"A" * 32),
    ],
)
def test_extended_xmp_is_left_out_and_said(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_extension(said))
    photo = load_photo(path)
    note = "the extended XMP data, which did not fit into the packet, are left out"
    assert note in photo.notes
    save_photo(photo.pixels, photo, tmp_path / "b.jpg")
    saved = (tmp_path / "b.jpg").read_bytes()
    assert b"xmp/extension" not in saved and b"HasExtendedXMP" not in saved
    assert b"dc:title=" in saved


def test_a_packet_without_extension_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (32, 24)).save(path, xmp=b"<rdf:Description dc:title='T'/>")
    photo = load_photo(path)
    assert photo.xmp == b"<rdf:Description dc:title='T'/>"
    assert not any("extended" in note for note in photo.notes)
