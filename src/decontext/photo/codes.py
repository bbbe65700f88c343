"""Colours that a file names by codes and not by a profile, as HEIC, AVIF and newer PNG files may.

Used by `reading`. Files that are saved here name their colours by a profile, so one is made.
Source: ISO/IEC 23091-2, tables 2 and 3 (codes); ICC.1:2022, sections 8 to 10 (profiles).
"""

import struct

import numpy as np
from numpy.typing import NDArray

from decontext.errors import InputError

_D65 = (0.3127, 0.3290)
_WIDE = {
    9: ("Rec. 2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
}
"""By code of the primaries: name, and where red, green and blue lie."""

_ORDINARY = (1, 2, 5, 6, 7)
"""Codes of primaries that are sRGB's, or so near that every program takes them for these."""

_COMMON = (1, 2, 4, 6, 13, 14, 15)
"""Codes of brightness that screens and browsers show like sRGB's."""

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def profile_of_codes(primaries: int, transfer: int, name: str) -> bytes | None:
    """A profile of the colours that two codes stand for; None for sRGB.

    Raises:
        InputError: brightness of HDR, or colours that are not known here.
    """
    if transfer in (16, 18):
        kind = "PQ" if transfer == 16 else "HLG"
        raise InputError(
            f"{name} is an HDR picture ({kind}); what it shows depends on the screen.",
            "Convert it to SDR, 8 bits per channel, first.",
        )
    if transfer not in _COMMON or (primaries not in _ORDINARY and primaries not in _WIDE):
        raise InputError(
            f"{name} names its colours by codes that are not known here ({primaries}/{transfer}).",
            "Convert it to sRGB first.",
        )
    return None if primaries in _ORDINARY else make_profile(*_WIDE[primaries])


def make_profile(name: str, places: tuple[tuple[float, float], ...]) -> bytes:
    """An RGB profile with these primaries, white D65, and the brightness of sRGB."""
    white = _xyz(*_D65)
    columns = np.stack([_xyz(x, y) for x, y in places], axis=1)
    adaptation = _adapt(white)
    colorants = adaptation @ (columns * np.linalg.solve(columns, white))
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
    curve += _fixed(np.array([2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]))
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel()),
    }
    for number, letter in enumerate((b"r", b"g", b"b")):
        tags[letter + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(colorants[:, number])
        tags[letter + b"TRC"] = curve
    return _assemble(tags)


def _assemble(tags: dict[bytes, bytes]) -> bytes:
    """Header, table and data; equal data stand there once."""
    start = 128 + 4 + 12 * len(tags)
    table, data, places = struct.pack(">I", len(tags)), b"", {}
    for kind, content in tags.items():
        if content not in places:
            places[content] = start + len(data)
            data += content + bytes(-len(content) % 4)
        table += kind + struct.pack(">II", places[content], len(content))
    header = struct.pack(">I4sI", start + len(data), bytes(4), 0x04300000)
    header += b"mntrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\x00") + _fixed(_D50)
    return header.ljust(128, b"\x00") + table + data


def _text(words: str) -> bytes:
    content = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(content), 28) + content


def _fixed(numbers: NDArray[np.float64]) -> bytes:
    """Numbers of 16 bits before and 16 behind the point."""
    return np.rint(numbers * 65536).astype(">i4").tobytes()


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapt(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """From one white to D50, by Bradford's cones."""
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD
    return adapted
