"""EXIF data of a photo, kept as it is but for the small preview inside it.

Used by `images.py` alone. Cameras put a thumbnail into the EXIF block; copied unchanged, it would
show the unprotected face beside the protected one.
"""

import struct
from typing import Any

from numpy.typing import NDArray
from PIL import ExifTags, Image

_PREFIX = b"Exif\x00\x00"

_TIFF_KEPT = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    ExifTags.IFD.Exif,
    ExifTags.IFD.GPSInfo,
)
"""Of a TIFF file's tags, those that describe the photo and not how its bytes are laid out."""

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

_DAMAGED = (SyntaxError, ValueError, KeyError, TypeError, OSError, struct.error)
"""What Pillow raises on metadata that make no sense."""


def read_exif(image: Image.Image) -> tuple[bytes | None, int]:
    """What an opened file says about itself: ask before loading a TIFF, after it otherwise.

    Returns:
        The EXIF block with its `Exif` prefix, None without one or when it is damaged: the file's
        own bytes where the format keeps them apart, otherwise (TIFF, text chunks of PNG) written
        anew from the tags. And the orientation in which viewers show the picture, 1..8, which XMP
        data may give as well.
    """
    try:
        tags = image.getexif()
        shown = _valid_orientation(tags)
        raw = image.info.get("exif")
        if image.format != "TIFF" and isinstance(raw, bytes) and raw:
            block = _PREFIX + raw.removeprefix(_PREFIX)
            Image.Exif().load(block)  # Only to see whether it can be read.
            return block, shown
        if image.format == "TIFF":
            tags = _select(tags)
        return (tags.tobytes() if len(tags) else None), shown
    except _DAMAGED:
        return None, 1


def read_orientation(exif: bytes | None) -> int:
    """Orientation tag of an EXIF block, 1..8; 1 (upright) when there is none."""
    tags = Image.Exif()
    if exif is not None:
        tags.load(exif)
    return _valid_orientation(tags)


def stored_view(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An upright picture `(.., height, width)` as it lies in a file; a view of the same memory.

    Source: Exif 2.32, table 6, "Orientation".
    """
    turned, mirrored, swapped = _LAYS[orientation]
    rows = slice(None, None, -1 if turned else 1)
    columns = slice(None, None, -1 if mirrored else 1)
    view = upright[..., rows, columns]
    return view.swapaxes(-1, -2) if swapped else view


def _valid_orientation(tags: Image.Exif) -> int:
    orientation = tags.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _select(tags: Image.Exif) -> Image.Exif:
    """The tags of a TIFF file that describe the photo."""
    kept = Image.Exif()
    for tag in _TIFF_KEPT:
        if tag in tags:
            is_block = tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
            kept[tag] = tags.get_ifd(tag) if is_block else tags[tag]
    return kept


def remove_preview(exif: bytes) -> tuple[bytes, bool]:
    """The block without its thumbnail, everything else byte for byte; and whether there was one.

    The thumbnail hangs on the pointer behind the first directory. The pointer is set to zero and
    the picture's bytes are blanked, so that maker notes, which count bytes, stay valid.
    Source: Exif 2.32, sections 4.5.2 (IFD structure) and 4.5.5 (thumbnail).
    """
    body = bytearray(exif.removeprefix(_PREFIX))
    order = {b"II": "<", b"MM": ">"}.get(bytes(body[:2]))
    if order is None:
        return exif, False
    try:
        (first,) = struct.unpack_from(order + "I", body, 4)
        (entries,) = struct.unpack_from(order + "H", body, first)
        pointer = first + 2 + 12 * entries
        (second,) = struct.unpack_from(order + "I", body, pointer)
        if second == 0:
            return exif, False
        start, length = _find_preview(body, second, order)
    except struct.error:
        return exif, False
    body[start : start + length] = bytes(len(body[start : start + length]))
    struct.pack_into(order + "I", body, pointer, 0)
    return _PREFIX + bytes(body), True


def _find_preview(body: bytearray, directory: int, order: str) -> tuple[int, int]:
    """Start and length of the thumbnail that a directory describes: JPEG or one plain strip."""
    (entries,) = struct.unpack_from(order + "H", body, directory)
    values = {}
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind = struct.unpack_from(order + "HH", body, entry)
        # Kind 3 is a 16-bit number, everything else of interest a 32-bit one.
        (values[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), body, entry + 8)
    start = values.get(ExifTags.Base.JpegIFOffset, values.get(ExifTags.Base.StripOffsets, 0))
    length = values.get(ExifTags.Base.JpegIFByteCount, values.get(ExifTags.Base.StripByteCounts, 0))
    return start, length
