"""The directories of tags that EXIF blocks and TIFF files are made of, byte for byte.

Used by `previews`, `metadata` and `tiff`. Offsets count from the block's own header, behind the
`Exif` prefix. Nothing here trusts a file: what points outside is left out.
Source: TIFF 6.0, section 2 (directories and kinds of values).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PREFIX = b"Exif\x00\x00"

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes of one number by the kind of value; rationals (5, 10) are two numbers."""

_MOST_ENTRIES = 1000
_MOST_DIRECTORIES = 10


@dataclass(frozen=True)
class Entry:
    """One tag.

    Attributes:
        tag: its number.
        kind: of value, 1..13.
        count: how many values.
        place: where the entry stands.
        start: where its value stands: inside the entry up to four bytes, else elsewhere.
        value: the value's bytes, in the order of the block.
    """

    tag: int
    kind: int
    count: int
    place: int
    start: int
    value: bytes

    def number(self, order: str) -> int:
        """The first value of a whole number; 0 for anything else."""
        form = {1: "B", 3: "H", 4: "I", 13: "I"}.get(self.kind)
        return struct.unpack_from(order + form, self.value)[0] if form and self.value else 0

    def swapped(self) -> bytes:
        """The value's bytes in the other order."""
        width = _WIDTHS[self.kind]
        numbers = (self.value[at : at + width][::-1] for at in range(0, len(self.value), width))
        return b"".join(numbers)


def byte_order(block: bytes | bytearray) -> str | None:
    """`<` or `>`, as `struct` has it; None where the block is none."""
    return {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(block[:4]))


def first_directory(block: bytes | bytearray, order: str) -> int:
    """Where the first directory begins; 0 where the block is too short."""
    return int(struct.unpack_from(order + "I", block, 4)[0]) if len(block) >= 8 else 0


def read_entries(block: bytes | bytearray, directory: int, order: str) -> Iterator[Entry]:
    """The entries of a directory whose values lie within the block."""
    if not 8 <= directory <= len(block) - 2:
        return
    (count,) = struct.unpack_from(order + "H", block, directory)
    room = 2 * len(block)  # Entries that all claim the whole block would take gigabytes.
    for place in range(directory + 2, directory + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        if place + 12 > len(block):
            return
        tag, kind, values = struct.unpack_from(order + "HHI", block, place)
        length = _WIDTHS.get(kind, 0) * values * (2 if kind in (5, 10) else 1)
        start = place + 8
        if length > 4:
            (start,) = struct.unpack_from(order + "I", block, place + 8)
        if 0 < length <= min(room, len(block) - start):
            room -= length
            yield Entry(tag, kind, values, place, start, bytes(block[start : start + length]))


def next_pointer(block: bytes | bytearray, directory: int, order: str) -> int | None:
    """Where the offset of the following directory stands; None outside of the block."""
    if not 8 <= directory <= len(block) - 2:
        return None
    (count,) = struct.unpack_from(order + "H", block, directory)
    place = directory + 2 + 12 * int(count)
    return place if place + 4 <= len(block) else None


def following(block: bytes | bytearray, directory: int, order: str) -> Iterator[int]:
    """The directories behind this one, in their order."""
    seen = {directory}
    for _ in range(_MOST_DIRECTORIES):
        place = next_pointer(block, directory, order)
        if place is None:
            return
        (directory,) = struct.unpack_from(order + "I", block, place)
        if directory in seen or not 8 <= directory <= len(block) - 2:
            return
        seen.add(directory)
        yield directory


def remove_entry(block: bytearray, directory: int, entry: Entry, order: str) -> None:
    """Take an entry out; those behind it and the offset of the next directory move up."""
    place = next_pointer(block, directory, order)
    end = len(block) if place is None else place + 4
    behind = bytes(block[entry.place + 12 : end])
    block[entry.place : end] = behind + bytes(end - entry.place - len(behind))
    (count,) = struct.unpack_from(order + "H", block, directory)
    struct.pack_into(order + "H", block, directory, count - 1)


def erase(block: bytearray, start: int, length: int) -> None:
    """Zeros in place of what stands there, as far as it is within the block."""
    start = max(0, start)
    stop = min(len(block), start + max(0, length))
    if start < stop:
        block[start:stop] = bytes(stop - start)
