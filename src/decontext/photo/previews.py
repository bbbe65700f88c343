"""Small pictures inside the metadata: each shows the unprotected photo, so none may stay.

Used by `metadata`. Cameras put a thumbnail behind the EXIF tags and larger previews into their own
notes. Their bytes are blanked and everything else stays where it is: notes count bytes.
"""

import re
import struct

from decontext.photo.directories import (
    Entry,
    byte_order,
    erase,
    first_directory,
    following,
    next_pointer,
    read_entries,
)

_WIDTH, _HEIGHT, _STRIPS, _SAMPLES, _STRIP_LENGTHS = 0x0100, 0x0101, 0x0111, 0x0115, 0x0117
_JPEG_START, _JPEG_LENGTH = 0x0201, 0x0202

_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_JPEG_WITHOUT_START = re.compile(rb"\xd8\xff[\xc0-\xc2\xc4\xdb\xdd\xe0\xe1\xfe]")
"""Some cameras damage the first byte on purpose."""

_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.*?(IEND....|\Z)", re.DOTALL)
_BASE64 = re.compile(rb"(/9j/|iVBORw0KGgo)[A-Za-z0-9+/=\s]{64,}")
"""A JPEG or PNG file written in letters."""


def remove_previews(block: bytes) -> tuple[bytes, bool]:
    """An EXIF block (without its prefix) in which no picture is left; and whether there was one.

    The thumbnail hangs on the pointer behind the first directory: the pointer is set to zero. What
    the directories there describe is blanked, and every JPEG or PNG file wherever it lies.
    Source: Exif 2.32, sections 4.5.2 (IFD structure) and 4.5.5 (thumbnail).
    """
    body = bytearray(block)
    described = _cut_thumbnails(body)
    # Files first: a described length that is wrong would take their first bytes only.
    found = blank_pictures(body)
    for start, length in described:
        erase(body, start, length)
    return bytes(body), bool(described or found)


def blank_pictures(body: bytearray) -> bool:
    """Blank every JPEG or PNG file in it, whole or cut short; whether there was one."""
    ranges = [*_find_jpegs(body), *(match.span() for match in _PNG.finditer(body))]
    ranges += [match.span() for match in _BASE64.finditer(body)]
    for start, stop in ranges:
        erase(body, start, stop - start)
    return bool(ranges)


def _find_jpegs(body: bytearray) -> list[tuple[int, int]]:
    """Where JPEG files begin and end."""
    ranges = []
    place = 0
    while (match := _JPEG.search(body, place)) is not None:
        start = match.start()
        stop = find_jpeg_end(body, start)
        if stop is None:  # It makes no sense as a file; up to where one would end.
            end = body.find(b"\xff\xd9", start)
            stop = len(body) if end < 0 else end + 2
        ranges.append((start, stop))
        place = stop
    place = 0
    while (match := _JPEG_WITHOUT_START.search(body, place)) is not None:
        start = max(0, match.start() - 1)
        stop = find_jpeg_end(body, start)
        if stop is not None and not any(first <= start < last for first, last in ranges):
            ranges.append((start, stop))
        place = match.end() if stop is None else stop
    return ranges


def find_jpeg_end(body: bytearray, start: int = 0) -> int | None:
    """Behind the last byte of the JPEG file that begins there, or of the block if it is cut short.

    None where there is no picture: its segments make no sense, or no pixels follow.
    """
    place, has_pixels = start + 2, False
    while place + 4 <= len(body):
        if body[place] != 0xFF:
            return None
        marker = body[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker == 0xD9:
            return place + 2 if has_pixels else None
        elif 0xD0 <= marker <= 0xD8 or marker == 0x01:
            place += 2
        else:
            place += 2 + int(struct.unpack_from(">H", body, place + 2)[0])
            if marker == 0xDA:
                has_pixels = True
                place = _skip_pixels(body, place)
    if has_pixels and bytes(body[place : place + 2]) == b"\xff\xd9":
        return place + 2
    return len(body) if has_pixels else None


def _skip_pixels(body: bytearray, place: int) -> int:
    """The next marker behind coded pixels: zeros and restarts belong to them."""
    while (place := body.find(b"\xff", place)) >= 0:
        if place + 1 >= len(body):
            return place
        if body[place + 1] != 0 and not 0xD0 <= body[place + 1] <= 0xD7:
            return place
        place += 2
    return len(body)


def _cut_thumbnails(body: bytearray) -> list[tuple[int, int]]:
    """Set the pointer behind the first directory to zero; start and length of what hung on it."""
    order = byte_order(body)
    if order is None:
        return []
    first = first_directory(body, order)
    described: list[tuple[int, int]] = []
    directories = list(following(body, first, order))
    for directory in directories:
        described += _describe(list(read_entries(body, directory, order)), order)
    place = next_pointer(body, first, order)
    if place is not None and directories:
        struct.pack_into(order + "I", body, place, 0)
    return described or [(0, 0)] * bool(directories)


def _describe(entries: list[Entry], order: str) -> list[tuple[int, int]]:
    """Start and length of the pictures that a directory describes: JPEG, or plain strips."""
    tags = {entry.tag: entry for entry in entries}
    values = {tag: _numbers(entry, order) for tag, entry in tags.items()}
    starts = values.get(_JPEG_START, []) + values.get(_STRIPS, [])
    lengths = values.get(_JPEG_LENGTH, []) + values.get(_STRIP_LENGTHS, [])
    sides = [values.get(tag, [0])[0] for tag in (_WIDTH, _HEIGHT)]
    # Where the length is wrong, the size says how much plain pixels take.
    whole = sides[0] * sides[1] * max(1, values.get(_SAMPLES, [1])[0]) // max(1, len(starts))
    lengths += [0] * (len(starts) - len(lengths))
    is_plain = _STRIPS in tags
    return [
        (start, max(length, whole if is_plain else 0))
        for start, length in zip(starts, lengths, strict=False)
    ]


def _numbers(entry: Entry, order: str) -> list[int]:
    form = {3: "H", 4: "I", 13: "I"}.get(entry.kind)
    return list(struct.unpack(f"{order}{entry.count}{form}", entry.value)) if form else []
