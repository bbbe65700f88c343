"""PNG files of 16 bits per channel, which Pillow does not write, and chunks that it does not read.

Used by `saving`, `reading` and `behind`. Pillow writes a small file with all that is beside the
pixels; its pixels are exchanged for these.
Source: PNG 3rd edition, sections 5 (chunks), 9 (filters), 11.3.2.6 (cICP).
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from decontext.photo.levels import strips

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's number for grey, grey with opacity, RGB, RGB with opacity."""

_CHUNK = 2**24
"""Bytes of pixels in one chunk."""


def read_chunks(content: bytes | bytearray | memoryview) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a file: kind, and where its data begin and end."""
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if place + 12 + length > len(content):
            return
        yield kind, place + 8, place + 8 + length
        place += 12 + length


def read_colour_codes(content: bytes | memoryview) -> tuple[int, int] | None:
    """The codes of a file's colours and brightness (ISO/IEC 23091-2), where it gives them."""
    for kind, start, end in read_chunks(content):
        if kind == b"cICP" and end - start == 4:
            return content[start], content[start + 1]
        if kind == b"IDAT":
            return None
    return None


SRGB_GAMMA, SRGB_PLACES = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
"""What files of sRGB give as gamma and as the places of white, red, green and blue."""

_NEAR = 1100
"""Of a hundred thousandth: as far as encoders' own rounding goes."""


Chunks = tuple[tuple[bytes, bytes], ...]
"""Kinds of chunks with their data."""


def read_colour_chunks(content: bytes | memoryview) -> Chunks:
    """Chunks by which a file says how its levels look without a profile: kind and data.

    Source: PNG 3rd edition, 11.3.2.1 (cHRM), 11.3.2.2 (gAMA), 11.3.2.5 (sRGB).
    """
    lengths = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}
    found = dict[bytes, bytes]()
    for kind, start, end in read_chunks(content):
        if kind == b"IDAT":
            break
        if lengths.get(kind) != end - start:
            continue
        data = bytes(content[start:end])
        if kind == b"gAMA" and not any(data):  # A gamma of nothing says nothing.
            continue
        found.setdefault(kind, data)
    return tuple(found.items())


def describe_colour_chunks(chunks: Chunks) -> str:
    """What such chunks say that is not sRGB, in words; empty where they say sRGB."""
    said, words = dict(chunks), []
    if b"sRGB" in said:
        return ""
    if b"gAMA" in said:
        (gamma,) = struct.unpack(">I", said[b"gAMA"])
        if abs(gamma - SRGB_GAMMA) > _NEAR:
            words.append(f"a gamma of {gamma / 100_000:.4g}")
    if b"cHRM" in said:
        places = struct.unpack(">8I", said[b"cHRM"])
        if any(abs(a - b) > _NEAR for a, b in zip(places, SRGB_PLACES, strict=True)):
            words.append("primaries of its own")
    return " and ".join(words)


def exchange_pixels(small: bytes | memoryview, pixels: NDArray[np.uint16]) -> bytearray:
    """A file like a small one of 8 bits, with these pixels of 16 bits.

    Args:
        small: as Pillow writes it.
        pixels: `(height, width, channels)`: grey or RGB, opacity last where there is one.
    """
    height, width, channels = pixels.shape
    file = bytearray(SIGNATURE)
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    is_done = False
    for kind, start, end in read_chunks(small):
        if kind == b"IHDR":
            _append(file, kind, header)
        elif kind != b"IDAT":
            _append(file, kind, small[start:end])
        elif not is_done:
            is_done = True
            for part in _compress(pixels):
                _append(file, kind, part)
    return file


def _append(file: bytearray, kind: bytes, data: bytes | bytearray | memoryview) -> None:
    file += struct.pack(">I", len(data)) + kind
    file += data
    file += struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _compress(pixels: NDArray[np.uint16]) -> Iterator[bytearray]:
    """The data of the chunks: filtered lines, compressed as one stream."""
    packer, packed = zlib.compressobj(6), bytearray()
    above = np.zeros((1, pixels[0].size * 2), np.uint8)
    for rows in strips(pixels[..., 0]):
        lines = np.ascontiguousarray(pixels[rows]).astype(">u2").view(np.uint8)
        lines = lines.reshape(len(lines), -1)
        packed += packer.compress(_filter(lines, above, 2 * pixels.shape[2]).tobytes())
        above = lines[-1:].copy()
        if len(packed) >= _CHUNK:
            yield packed
            packed = bytearray()
    packed += packer.flush()
    yield packed


def _filter(lines: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Lines with the number of their filter first: of three the one that leaves the least."""
    up = np.concatenate((above, lines[:-1]))
    left, corner = np.zeros_like(lines), np.zeros_like(lines)
    left[:, step:], corner[:, step:] = lines[:, :-step], up[:, :-step]
    ways = {1: lines - left, 2: lines - up, 4: lines - _paeth(left, up, corner)}
    sums = np.stack([np.abs(way.view(np.int8).astype(np.int16)).sum(1) for way in ways.values()])
    chosen = sums.argmin(axis=0)
    result = np.empty((len(lines), lines.shape[1] + 1), np.uint8)
    for number, (kind, way) in enumerate(ways.items()):
        mine = chosen == number
        result[mine, 0], result[mine, 1:] = kind, way[mine]
    return result


def _paeth(
    left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Of the three neighbours the one that is nearest to left + up - corner."""
    a, b, c = (part.astype(np.int16) for part in (left, up, corner))
    guess = a + b - c
    to_a, to_b, to_c = abs(guess - a), abs(guess - b), abs(guess - c)
    near = np.where(to_b <= to_c, up, corner)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, near)
