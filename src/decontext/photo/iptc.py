"""Captions, keywords and names as press agencies write them (IPTC), dataset by dataset.

Used by `metadata` and `saving`. In JPEG they lie in a block of Photoshop's, among thumbnails and
other things that are not kept.
Source: IPTC-IIM 4.2, part 1, section 1.6 (datasets); Photoshop file format, image resources.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from decontext.photo.previews import blank_pictures
from decontext.photo.tiff import IPTC, PHOTOSHOP

RESOURCE = 0x0404
"""Number of the resource in Photoshop's block."""

_PLACES = {(2, number) for number in (26, 27, 90, 92, 95, 100, 101)}
"""City, sublocation, state, country, and the codes of these."""

_APPLICATION = 2
_PREVIEW = range(200, 203)
_LONGEST = 60_000
"""Bytes: what fits into a segment of JPEG."""


@dataclass(frozen=True)
class _Dataset:
    record: int
    number: int
    content: bytes
    value: bytes


def read_iptc(image: Image.Image) -> tuple[bytes | None, str]:
    """The datasets that are kept, and a note where some are not."""
    block: object = None
    if image.format == "TIFF":
        # Some programs say that the bytes are long numbers, of which Pillow gives the first.
        stored = getattr(getattr(image, "tag_v2", None), "_tagdata", {})
        block = stored.get(IPTC) or stored.get(PHOTOSHOP)
    elif image.format == "PNG":
        texts = getattr(image, "text", {})
        for name in ("Raw profile type iptc", "Raw profile type 8bim"):
            block = block or _unpack_profile(texts.get(name, ""))
    else:
        resources = image.info.get("photoshop")
        block = resources.get(RESOURCE) if isinstance(resources, dict) else None
    found = find_in_resources(block) if isinstance(block, bytes) else None
    if not found:
        return None, ""
    kept, is_less = clean_iptc(found)
    if kept is None:
        return None, "damaged or very long captions and keywords (IPTC) are left out"
    return kept, "a part of the captions and keywords (IPTC) is left out" if is_less else ""


def clean_iptc(block: bytes) -> tuple[bytes | None, bool]:
    """The datasets that are kept, without pictures; and whether something is left out.

    None where nothing is left, or where the block makes no sense or is too long.
    """
    try:
        found = list(_read(block))
    except struct.error:
        return None, True
    kept = [
        dataset
        for dataset in found
        if dataset.record <= _APPLICATION
        and not (dataset.record == _APPLICATION and dataset.number in _PREVIEW)
        and not blank_pictures(bytearray(dataset.value))
    ]
    result = b"".join(dataset.content for dataset in kept)
    if not kept or len(result) > _LONGEST:
        return None, bool(found)
    return result, len(kept) < len(found)


def iptc_names_place(block: bytes) -> bool:
    """Whether a cleaned block says where the photo was taken."""
    return any((dataset.record, dataset.number) in _PLACES for dataset in _read(block))


def remove_place(block: bytes) -> bytes | None:
    """A cleaned block without the place; None where nothing is left."""
    kept = (d.content for d in _read(block) if (d.record, d.number) not in _PLACES)
    return b"".join(kept) or None


def as_resource(block: bytes) -> bytes:
    """As one of Photoshop's resources."""
    head = b"8BIM" + struct.pack(">HHI", RESOURCE, 0, len(block))
    return head + block + bytes(len(block) % 2)


def find_in_resources(block: bytes) -> bytes | None:
    """The datasets in a row of Photoshop's resources; a block that is none itself is given back."""
    block = block.removeprefix(b"Photoshop 3.0\x00")
    if block.startswith(b"\x1c"):
        return block
    place = 0
    while block[place : place + 4] == b"8BIM" and place + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, place + 4)
        name = block[place + 6] + 1
        start = place + 6 + name + name % 2
        if start + 4 > len(block):
            return None
        (length,) = struct.unpack_from(">I", block, start)
        if number == RESOURCE:
            return block[start + 4 : start + 4 + length]
        place = start + 4 + length + length % 2
    return None


def _read(block: bytes) -> Iterator[_Dataset]:
    """Raises: struct.error: it makes no sense."""
    place = 0
    while place < len(block):
        if block[place] == 0 and not block[place:].strip(b"\x00"):
            return  # Padding.
        mark, record, number, length = struct.unpack_from(">BBBH", block, place)
        start = place + 5
        if mark != 0x1C:
            raise struct.error("no dataset")
        if length & 0x8000:  # The length itself is longer.
            width = length & 0x7FFF
            if width > 4 or start + width > len(block):
                raise struct.error("too long")
            length = int.from_bytes(block[start : start + width], "big")
            start += width
        if start + length > len(block):
            raise struct.error("cut short")
        end = start + length
        yield _Dataset(record, number, block[place:end], block[start:end])
        place = end


def _unpack_profile(text: str) -> bytes | None:
    """Data that ImageMagick writes into PNG files as letters, under a heading of two lines."""
    parts = text.strip().split("\n", 2)
    if len(parts) < 3:
        return None
    try:
        return bytes.fromhex(parts[2])
    except ValueError:
        return None
