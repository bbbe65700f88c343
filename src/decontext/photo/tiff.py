"""EXIF, XMP and IPTC data, and pixels of 16 bits, into a finished TIFF file.

Used by `saving`. Pillow's compressed TIFF files cannot hold the directories of EXIF and GPS tags,
and it writes no colour of 16 bits; its file is taken as it is, and one more directory at its end
takes the place of the first.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

from decontext.photo.directories import (
    EXIF_POINTER,
    GPS_POINTER,
    INTEROP_POINTER,
    PREFIX,
    byte_order,
    first_directory,
    read_entries,
)

DESCRIBING = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    EXIF_POINTER,
    GPS_POINTER,
)
"""Of a TIFF file's tags, those that describe the photo and not how its bytes are laid out."""

_POINTERS = (EXIF_POINTER, GPS_POINTER, INTEROP_POINTER)
_DEEPEST = 2
"""How often directories point to directories: the first, EXIF, interoperability."""

_XMP, IPTC, PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_BYTES, _SHORT, _LONG, _UNDEFINED = 1, 3, 4, 7

_STRIP_BYTES = 2**20
"""How long the strips of a picture are, about, before compression."""

Layout = Mapping[int, tuple[int, Sequence[int]]]
"""By tag: kind and values of what says how the pixels lie."""

_Raw = tuple[int, int, bytes]
"""Kind, count, and the value, or where it stands, as four bytes."""


def add_metadata(
    content: bytes | bytearray | memoryview,
    exif: bytes | None,
    xmp: bytes | None,
    iptc: bytes | None = None,
    *,
    orientation: int,
    layout: Layout | None = None,
) -> bytearray:
    """A TIFF file in Intel's byte order with these data in its first directory.

    Args:
        content: the file, as Pillow writes it.
        exif: an EXIF block with its prefix; of its first directory what describes the photo.
        xmp: an XMP packet.
        iptc: datasets of IPTC.
        orientation: in which the photo lies in the file, 1..8: in a damaged block the entry that
            says so may be one that the photo was not read by.
        layout: tags that say how the pixels lie, in place of the file's own.
    """
    file = bytearray(content)
    first = first_directory(file, "<")
    (count,) = struct.unpack_from("<H", file, first)
    entries: dict[int, _Raw] = {}
    for place in range(first + 2, first + 2 + 12 * count, 12):
        tag, *raw = struct.unpack_from("<HHI4s", file, place)
        entries[tag] = (raw[0], raw[1], raw[2])
    for tag, (kind, values) in (layout or {}).items():
        form = "H" if kind == _SHORT else "I"
        value = struct.pack(f"<{len(values)}{form}", *values)
        entries[tag] = (kind, len(values), _store(file, value))
    block = (exif or b"").removeprefix(PREFIX)
    order = byte_order(block)
    if order is not None:
        entries = _copy(file, block, first_directory(block, order), order) | entries
    if ExifTags.Base.Orientation in entries:
        lies = struct.pack("<HH", orientation, 0)
        entries[ExifTags.Base.Orientation] = (_SHORT, 1, lies)
    if xmp is not None:
        entries[_XMP] = (_BYTES, len(xmp), _store(file, xmp))
    if iptc is not None:
        entries[IPTC] = (_UNDEFINED, len(iptc), _store(file, iptc))
    struct.pack_into("<I", file, 4, _write(file, entries))
    return file


def append_pixels(
    small: bytes | bytearray | memoryview, pixels: NDArray[np.uint16], *, has_opacity: bool
) -> tuple[bytearray, Layout]:
    """A small file of 8 bits with these pixels behind it, and the tags that describe them.

    Args:
        small: as Pillow writes it, without compression.
        pixels: `(height, width, channels)`: grey, RGB or CMYK, opacity last where there is one.
        has_opacity: whether there is one.

    Strips are compressed by deflate after taking differences (predictor 2).
    Source: TIFF 6.0, sections 3 to 6, 14 and 18.
    """
    height, width, channels = pixels.shape
    colours = channels - has_opacity
    lines = max(1, _STRIP_BYTES // (2 * width * channels))
    file, starts, lengths = bytearray(small), [], []
    for top in range(0, height, lines):
        strip = pixels[top : top + lines].astype("<u2")
        strip[:, 1:] -= pixels[top : top + lines, :-1]
        packed = zlib.compress(strip.tobytes(), 6)
        starts.append(len(file))
        lengths.append(len(packed))
        file += packed
    layout: dict[int, tuple[int, Sequence[int]]] = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [16] * channels),
        259: (_SHORT, [8]),
        262: (_SHORT, [{1: 1, 3: 2, 4: 5}[colours]]),
        273: (_LONG, starts),
        277: (_SHORT, [channels]),
        278: (_LONG, [lines]),
        279: (_LONG, lengths),
        284: (_SHORT, [1]),
        317: (_SHORT, [2]),
        339: (_SHORT, [1] * channels),
    }
    if has_opacity:
        layout[338] = (_SHORT, [2])
    return file, layout


def _copy(
    file: bytearray, block: bytes, directory: int, order: str, depth: int = 0
) -> dict[int, _Raw]:
    """The entries of a directory of an EXIF block by tag; their values go to the file's end."""
    copied: dict[int, _Raw] = {}
    for entry in read_entries(block, directory, order):
        if entry.tag in copied or (depth == 0 and entry.tag not in DESCRIBING):
            continue
        if entry.tag not in _POINTERS:
            value = entry.value if order == "<" else entry.swapped()
            copied[entry.tag] = (entry.kind, entry.count, _store(file, value))
        elif depth < _DEEPEST:
            inner = _copy(file, block, entry.number(order), order, depth + 1)
            if inner:
                copied[entry.tag] = (_LONG, 1, struct.pack("<I", _write(file, inner)))
    return copied


def _store(file: bytearray, value: bytes) -> bytes:
    """A value of up to four bytes as it stands in an entry, or where a longer one stands now."""
    if len(value) <= 4:
        return value.ljust(4, b"\x00")
    file += bytes(len(file) % 2)
    file += value
    return struct.pack("<I", len(file) - len(value))


def _write(file: bytearray, entries: dict[int, _Raw]) -> int:
    """A directory at the file's end; where it begins."""
    file += bytes(len(file) % 2)
    start = len(file)
    file += struct.pack("<H", len(entries))
    for tag, raw in sorted(entries.items()):
        file += struct.pack("<HHI4s", tag, *raw)
    file += bytes(4)
    return start
