"""What a HEIC or AVIF file says beside its pixels: colour codes, depth, further pictures.

Used by `phones` and `reading`. Such files are boxes within boxes; nothing here trusts their
lengths.
Source: ISO/IEC 14496-12 (boxes), 23008-12 (HEIF: items, properties, references), 23091-2 (codes).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_BOXES = 2000

_DEPTH_KINDS = (b"av1C", b"hvcC", b"pixi")

_AUXILIARY = (
    (b"depth", "a depth map"),
    (b"disparity", "a depth map"),
    (b"gainmap", "a map for HDR screens"),
    (b"matte", "a matte"),
    (b"alpha", ""),
    (b"auxid:1", ""),
    (b"auxid:2", "a depth map"),
)


@dataclass(frozen=True)
class Description:
    """What a file says.

    Attributes:
        depth: bits per channel of the main picture, 8 where nothing is said.
        primaries: code of its colours, and
        transfer: of its brightness, ISO/IEC 23091-2; 2 is "not said".
        others: further pictures in words, such as `a thumbnail`.
    """

    depth: int = 8
    primaries: int = 2
    transfer: int = 2
    others: tuple[str, ...] = ()


def describe_boxes(content: bytes | memoryview) -> Description:
    """Read the boxes of a whole file; what makes no sense is taken as not said."""
    view = memoryview(content)
    top = list(_boxes(view))
    meta = next((body[4:] for kind, body in top if kind == b"meta"), view[:0])
    parts = dict(_boxes(meta))
    try:
        main = _primary(parts.get(b"pitm", view[:0]))
        properties = _properties(parts.get(b"iprp", view[:0]), main)
    except (struct.error, IndexError):
        main, properties = 0, []
    everything = _all_properties(parts.get(b"iprp", view[:0]))
    others = _others(parts, everything)
    if any(kind in (b"moov", b"mpvd") for kind, _ in top):
        others.append("a video")
    codes = next(
        (body for kind, body in properties if kind == b"colr" and bytes(body[:4]) == b"nclx"), b""
    )
    primaries, transfer = struct.unpack_from(">HH", codes, 4) if len(codes) >= 8 else (2, 2)
    depths = [_depth(kind, bytes(body)) for kind, body in properties if kind in _DEPTH_KINDS]
    return Description(max(depths, default=8), primaries, transfer, tuple(dict.fromkeys(others)))


def _boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The boxes of a stretch of a file: their kind, and what is in them."""
    place = 0
    for _ in range(_MOST_BOXES):
        if place + 8 > len(view):
            return
        length, kind = struct.unpack_from(">I4s", view, place)
        head = 8
        if length == 1 and place + 16 <= len(view):
            (length,) = struct.unpack_from(">Q", view, place + 8)
            head = 16
        elif length == 0:
            length = len(view) - place
        if length < head:
            return
        yield kind, view[place + head : place + length]
        place += length


def _primary(body: memoryview) -> int:
    """Number of the main picture."""
    form = ">H" if body[0] == 0 else ">I"
    return int(struct.unpack_from(form, body, 4)[0])


def _all_properties(body: memoryview) -> list[tuple[bytes, memoryview]]:
    return list(_boxes(next((inner for kind, inner in _boxes(body) if kind == b"ipco"), body[:0])))


def _properties(body: memoryview, item: int) -> list[tuple[bytes, memoryview]]:
    """Those of one picture. Raises: struct.error, IndexError: they make no sense."""
    everything, found = _all_properties(body), []
    for kind, inner in _boxes(body):
        if kind != b"ipma":
            continue
        version, is_wide = inner[0], inner[3] & 1
        (count,) = struct.unpack_from(">I", inner, 4)
        place = 8
        for _ in range(min(count, _MOST_BOXES)):
            (number,) = struct.unpack_from(">H" if version < 1 else ">I", inner, place)
            place += 2 if version < 1 else 4
            associations = inner[place]
            place += 1
            for _ in range(associations):
                (index,) = struct.unpack_from(">H" if is_wide else ">B", inner, place)
                place += 2 if is_wide else 1
                index &= 0x7FFF if is_wide else 0x7F
                if number == item and 1 <= index <= len(everything):
                    found.append(everything[index - 1])
    return found


def _depth(kind: bytes, body: bytes) -> int:
    """Bits per channel, as one of three boxes says it."""
    if kind == b"av1C" and len(body) >= 3:
        return 8 if not body[2] & 0x40 else 12 if body[2] & 0x20 else 10
    if kind == b"hvcC" and len(body) >= 18:
        return 8 + (body[17] & 7)
    if kind == b"pixi" and len(body) >= 6:
        return max(body[5 : 5 + body[4]], default=8)
    return 8


def _others(
    parts: dict[bytes, memoryview], properties: list[tuple[bytes, memoryview]]
) -> list[str]:
    """Further pictures in words."""
    found = []
    if any(kind == b"thmb" for kind, _ in _boxes(parts.get(b"iref", memoryview(b""))[4:])):
        found.append("a thumbnail")
    for kind, body in properties:
        if kind == b"auxC":
            name = bytes(body[4:200]).partition(b"\x00")[0].lower()
            words = next((w for mark, w in _AUXILIARY if mark in name), "an auxiliary picture")
            found += [words] * bool(words)
    return found
