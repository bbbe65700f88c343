"""EXIF data of an opened file, and how its pixels lie.

Used by `metadata`, `reading` and `saving`.
"""

import struct
from typing import Any

from numpy.typing import NDArray
from PIL import ExifTags, Image

from decontext.photo.decoders import DECODER_ERRORS
from decontext.photo.directories import (
    EXIF_POINTER,
    GPS_POINTER,
    PREFIX,
    byte_order,
    first_directory,
    read_entries,
    remove_entry,
)
from decontext.photo.tiff import DESCRIBING

_BYTES = 1
_UNDEFINED = {
    EXIF_POINTER: (
        0x8828,
        0x9000,
        0x9101,
        0x927C,
        0x9286,
        0xA000,
        0xA20C,
        0xA300,
        0xA301,
        0xA302,
        0xA40B,
    ),
    GPS_POINTER: (0x001B, 0x001C),
}
"""Tags of either directory whose bytes have no meaning of their own. Source: Exif 2.32, 4.6."""

_MOST_TIMES = 10
"""How often a damaged block is cleared of one tag."""

_LAYS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (False, True, True),
    7: (True, True, True),
    8: (True, False, True),
}
"""By orientation: rows in reverse, columns in reverse, and then rows for columns."""


def read_exif(image: Image.Image) -> tuple[bytes | None, int, bool]:
    """What an opened file says about itself: ask before loading a TIFF, after it otherwise.

    Returns:
        The EXIF block with its `Exif` prefix, None without one or when it cannot be read: the
        file's own bytes where the format keeps them apart, otherwise (TIFF, text chunks of PNG)
        written anew from the tags. The orientation in which viewers show the picture, 1..8, which
        XMP data may give as well. And whether something was too damaged to keep.
    """
    try:
        tags = image.getexif()
        shown = _valid_orientation(tags)
        raw = image.info.get("exif")
        if image.format != "TIFF" and isinstance(raw, bytes) and raw:
            block = PREFIX + raw.removeprefix(PREFIX)
            Image.Exif().load(block)  # Only to see whether it can be read.
            return block, shown, False
        is_damaged = False
        if image.format == "TIFF":
            tags, is_damaged = _select(tags)
        return (_mend_kinds(tags.tobytes()) if len(tags) else None), shown, is_damaged
    except DECODER_ERRORS:
        return None, 1, True


def read_orientation(exif: bytes | None) -> int:
    """Orientation tag of an EXIF block, 1..8; 1 (upright) when there is none."""
    tags = Image.Exif()
    try:
        tags.load(exif or b"")
        return _valid_orientation(tags)
    except DECODER_ERRORS:
        return 1


def without_orientation(exif: bytes) -> bytes | None:
    """The block without its orientation, for a format that has another place for it.

    None where nothing is left then.
    """
    body = bytearray(exif.removeprefix(PREFIX))
    order = byte_order(body)
    if order is None:
        return exif
    first = first_directory(body, order)
    for _ in range(_MOST_TIMES):
        found = (e for e in read_entries(body, first, order) if e.tag == ExifTags.Base.Orientation)
        entry = next(found, None)
        if entry is None:
            break
        remove_entry(body, first, entry, order)
    return PREFIX + bytes(body) if any(read_entries(body, first, order)) else None


def stored_view(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An upright picture `(.., height, width)` as it lies in a file; a view of the same memory.

    Source: Exif 2.32, table 6, "Orientation".
    """
    turned, mirrored, swapped = _LAYS[orientation]
    rows = slice(None, None, -1 if turned else 1)
    columns = slice(None, None, -1 if mirrored else 1)
    view = upright[..., rows, columns]
    return view.swapaxes(-1, -2) if swapped else view


def upright_view(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The way back: a stored picture `(.., height, width)` upright, a view of the same memory."""
    return stored_view(stored, {6: 8, 8: 6}.get(orientation, orientation))


def _valid_orientation(tags: Image.Exif) -> int:
    orientation = tags.get(ExifTags.Base.Orientation, 1)
    return int(orientation) if orientation in range(1, 9) else 1


def _mend_kinds(exif: bytes) -> bytes:
    """A block that Pillow wrote, in which bytes without meaning are called so and not numbers."""
    body = bytearray(exif.removeprefix(PREFIX))
    order = byte_order(body)
    if order is None:
        return exif
    first = first_directory(body, order)
    for pointer in read_entries(bytes(body), first, order):
        if pointer.tag in (EXIF_POINTER, GPS_POINTER):
            for entry in read_entries(bytes(body), pointer.number(order), order):
                if entry.kind == _BYTES and entry.tag in _UNDEFINED[pointer.tag]:
                    struct.pack_into(order + "H", body, entry.place + 2, 7)
    return PREFIX + bytes(body)


def _select(tags: Image.Exif) -> tuple[Image.Exif, bool]:
    """The tags of a TIFF file that describe the photo; and whether some make no sense."""
    kept, is_damaged = Image.Exif(), False
    for tag in DESCRIBING:
        if tag not in tags:
            continue
        try:
            alone = Image.Exif()
            value = dict(tags.get_ifd(tag)) if tag in (EXIF_POINTER, GPS_POINTER) else tags[tag]
            alone[tag] = value
            alone.tobytes()
        except DECODER_ERRORS:
            is_damaged = True
        else:
            kept[tag] = value
    return kept, is_damaged
