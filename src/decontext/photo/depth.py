"""Sixteen bits per channel, which Pillow reads as eight where there are several channels.

Used by `reading`. Pillow's decoders take the high byte of each number. Told that the bytes lie the
other way round they take the low one: two passes give both, with all compressions and filters.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from decontext.errors import InputError
from decontext.photo.levels import strips

_OTHER = {"B": "L", "L": "B", "N": "B"}
"""The byte order that gives the low bytes; libtiff's native order is taken as little-endian."""

_CHANNELS = {"RGB": 3, "RGBA": 4, "CMYK": 4}


def is_deep(image: Image.Image) -> bool:
    """Whether an opened file stores more than 8 bits per channel; asked before it is loaded."""
    return image.mode.startswith("I") or any(";16" in _kind(tile) for tile in _tiles(image))


def check_planes(image: Image.Image) -> None:
    """Refuse what Pillow would decode wrongly without a word.

    Raises:
        InputError: a TIFF file of 16 bits whose channels lie one behind the other.
    """
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(258, ())
    if tags.get(284) == 2 and max(bits if isinstance(bits, tuple) else (bits,), default=8) > 8:
        raise InputError(
            "the picture has 16 bits per channel and its channels lie one behind the other.",
            "Save it with interleaved channels first.",
        )


def read_deep(reopen: Callable[[], ImageFile.ImageFile]) -> NDArray[np.uint16] | None:
    """All bits of a picture as it is stored, `(height, width, channels)`.

    Args:
        reopen: opens the file anew each time, not loaded.

    Returns:
        Grey, RGB, CMYK, or the first two with opacity last. None where the file has 8 bits, or
        has them in a way that cannot be read as 16.
    """
    image = reopen()
    kinds = {_kind(tile) for tile in _tiles(image)}
    if image.mode.startswith("I;16") and "transparency" not in image.info:
        image.load()
        return grey_values(image)
    if len(kinds) != 1 or "transparency" in image.info:
        return None
    (kind,) = kinds
    if kind == "LA;16B":
        _set_kind(image, "RGBA")  # Four bytes a pixel: grey and opacity, high bytes first.
        image.load()
        return np.asarray(image).view(">u2").astype(np.uint16)
    name, _, order = kind.partition(";16")
    if name != image.mode or name not in _CHANNELS or order not in _OTHER:
        return None
    other = reopen()
    _set_kind(other, f"{name};16{_OTHER[order]}")
    image.load()
    other.load()
    values = np.empty((image.height, image.width, _CHANNELS[name]), np.uint16)
    for rows in strips(values[..., 0]):
        box = (0, rows.start, image.width, rows.stop)
        high, low = (np.asarray(part.crop(box)).astype(np.uint16) for part in (image, other))
        values[rows] = high << 8 | low
    return values


def grey_values(image: Image.Image) -> NDArray[np.uint16]:
    """16-bit grey of a loaded picture, `(height, width, 1)`."""
    return np.asarray(image).astype(np.uint16)[..., None]


def to_eight(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The nearest 8-bit levels (257 is odd: there is always one); 8 bits as they are."""
    wide = values
    if values.dtype != np.uint8:
        wide = values.astype(np.uint32)
        wide += 128
        wide //= 257
    return wide.astype(np.uint8, copy=False)


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", ()))


def _kind(tile: Any) -> str:
    """How the bytes of a part of the file are to be read, in Pillow's words."""
    arguments = tile[3]
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _set_kind(image: ImageFile.ImageFile, kind: str) -> None:
    for number, tile in enumerate(image.tile):
        others = tile[3][1:] if isinstance(tile[3], tuple) else None
        arguments = kind if others is None else (kind, *others)
        image.tile[number] = ImageFile._Tile(tile[0], tile[1], tile[2], arguments)
