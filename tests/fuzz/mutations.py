"""Damage to files: blind, and with an eye for how each format is built."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

Mutation = Callable[[bytearray, random.Random], bytearray]

_NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 64, 255, 256, 1000, 32767, 32768, 65535)
_LARGE = (65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2, 100_000, 1_000_000)


def mutate(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """One file with one to four kinds of damage; sometimes as it was."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 2, 3, 4))):
        mutation = rng.choice(_MUTATIONS)
        content = mutation(content, rng) if content else content
    if rng.random() < 0.03:
        other = rng.choice(seeds)
        content = content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]
    return bytes(content)


def flip_bits(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        content[_place(content, rng)] ^= 1 << rng.randrange(8)
    return content


def change_bytes(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 4, 16))):
        content[_place(content, rng)] = rng.choice((0, 255, 0x7F, rng.randrange(256)))
    return content


def put_number(content: bytearray, rng: random.Random) -> bytearray:
    form = rng.choice(("<H", ">H", "<I", ">I", "<f", ">d"))
    value: float = rng.choice(_NUMBERS)
    if form[1] == "I":
        value = rng.choice(_NUMBERS + _LARGE)
    elif form[1] in "fd":
        value = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e30))
    data = struct.pack(form, value)
    place = _place(content, rng)
    content[place : place + len(data)] = data
    return content


def cut_end(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.randrange(len(content) + 1)]


def cut_out(content: bytearray, rng: random.Random) -> bytearray:
    start = _place(content, rng)
    del content[start : start + rng.choice((1, 2, 4, 12, 100))]
    return content


def repeat(content: bytearray, rng: random.Random) -> bytearray:
    start = _place(content, rng)
    part = content[start : start + rng.choice((1, 4, 12, 64, 1000))]
    content[start:start] = part * rng.choice((1, 1, 2, 50))
    return content


def change_tag(content: bytearray, rng: random.Random) -> bytearray:
    """One entry of a TIFF or EXIF directory: its tag, kind, count or value."""
    header = _find(content, (b"II*\0", b"MM\0*"), rng)
    if header is None:
        return flip_bits(content, rng)
    order = "<" if content[header : header + 2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(order + "I", content, header + 4)
        directory = header + first
        for _ in range(rng.randrange(3)):  # Into the next one, or one that a tag points to.
            directory = header + _follow(content, directory, order, rng)
        (entries,) = struct.unpack_from(order + "H", content, directory)
        entry = directory + 2 + 12 * rng.randrange(max(1, min(entries, 100)))
        part = rng.choice((0, 2, 4, 8, 8))
        if part < 4:
            values = (254, 256, 257, 258, 259, 262, 273, 274, 277, 279, 282, 320, 322, 330, 339)
            value = rng.choice(values if part == 0 else tuple(range(20)))
            struct.pack_into(order + "H", content, entry + part, value)
        else:
            value = rng.choice((*_NUMBERS, *_LARGE, len(content), rng.randrange(len(content))))
            struct.pack_into(order + "I", content, entry + part, value)
    except struct.error:
        return put_number(content, rng)
    return content


def change_chunk(content: bytearray, rng: random.Random) -> bytearray:
    """Damage inside a chunk of PNG, whose checksum is then made right again."""
    if not content.startswith(b"\x89PNG"):
        return change_tag(content, rng)
    chunks, place = [], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        if place + 12 + length > len(content):
            break
        chunks.append((place, length))
        place += 12 + length
    if not chunks:
        return flip_bits(content, rng)
    place, length = rng.choice(chunks)
    data = bytearray(content[place + 4 : place + 8 + length])
    data = rng.choice((flip_bits, change_bytes, put_number))(data, rng)[: length + 4]
    content[place + 4 : place + 4 + len(data)] = data
    checksum = zlib.crc32(content[place + 4 : place + 8 + length])
    struct.pack_into(">I", content, place + 8 + length, checksum)
    return content


def change_segment(content: bytearray, rng: random.Random) -> bytearray:
    """The kind, the length or the inside of a segment of JPEG."""
    if not content.startswith(b"\xff\xd8"):
        return change_chunk(content, rng)
    segments, place = [], 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        segments.append(place)
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    if not segments:
        return flip_bits(content, rng)
    place = rng.choice(segments)
    what = rng.randrange(4)
    if what == 0:
        content[place + 1] = rng.choice(
            (0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE1, 0xE2, 0xED, 0xEE)
        )
    elif what == 1:
        struct.pack_into(">H", content, place + 2, rng.choice(_NUMBERS))
    else:
        length = struct.unpack_from(">H", content, place + 2)[0]
        inside = content[place + 4 : place + 2 + length]
        if inside:
            content[place + 4 : place + 2 + length] = change_bytes(inside, rng)
    return content


def change_box(content: bytearray, rng: random.Random) -> bytearray:
    """The length, the kind or the first numbers of a box of HEIC or AVIF, at any depth."""
    if content[4:8] != b"ftyp":
        return change_segment(content, rng)
    marks = (b"meta", b"pitm", b"iloc", b"iinf", b"infe", b"iprp", b"ipco", b"ipma", b"ispe")
    marks += (b"colr", b"pixi", b"av1C", b"hvcC", b"auxC", b"iref", b"irot", b"clap", b"idat")
    place = _find(content, marks, rng)
    if place is None:
        return flip_bits(content, rng)
    what = rng.randrange(3)
    if what == 0:
        struct.pack_into(">I", content, place - 4, rng.choice(_NUMBERS + _LARGE))
    elif what == 1:
        content[place : place + 4] = rng.choice(marks)
    else:
        start = place + 4 + rng.randrange(24)
        content[start : start + 2] = struct.pack(">H", rng.choice(_NUMBERS))
    return content


_MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    change_bytes,
    put_number,
    cut_end,
    cut_out,
    repeat,
    change_tag,
    change_tag,
    change_chunk,
    change_segment,
    change_box,
)


def _place(content: bytearray, rng: random.Random) -> int:
    """Somewhere; every other time near the start, where the descriptions are."""
    return rng.randrange(min(len(content), 400) if rng.random() < 0.5 else len(content))


def _find(content: bytearray, marks: Sequence[bytes], rng: random.Random) -> int | None:
    places = [place for mark in marks if (place := content.find(mark)) >= 0]
    return rng.choice(places) if places else None


def _follow(content: bytearray, directory: int, order: str, rng: random.Random) -> int:
    """Offset of another directory that this one names, or its own."""
    (entries,) = struct.unpack_from(order + "H", content, directory)
    found = list(struct.unpack_from(order + "I", content, directory + 2 + 12 * entries))
    for entry in range(directory + 2, directory + 2 + 12 * min(entries, 100), 12):
        tag, _, _, value = struct.unpack_from(order + "HHII", content, entry)
        if tag in (0x8769, 0x8825, 330):
            found.append(value)
    found = [value for value in found if value]
    if not found:
        raise struct.error("no other directory")
    return int(rng.choice(found))
