"""How large a picture may be: asked by what a file claims, before anything is decoded.

Used by `reading`. A file of a few kilobytes can claim hundreds of megapixels and take gigabytes.
"""

import os

from decontext.errors import InputError

MAX_PIXELS = 120_000_000
"""More is refused unless `DECONTEXT_MAX_PIXELS` or `max_pixels` allows it."""

VARIABLE = "DECONTEXT_MAX_PIXELS"

_PLAUSIBLE = 20_000_000
"""Up to so many pixels a file may be as small as it likes."""

_SMALLEST_DENSITY = 0.01
"""Bytes per pixel. A photo has 0.05 and more, a white wall as JPEG 0.016."""


def check_pixels(size: tuple[int, int], length: int, name: str, *, limit: int | None) -> None:
    """Refuse a picture that is too large, or far larger than its file can say.

    Args:
        size: `(width, height)` that the file claims.
        length: bytes of the file; 0 where there is none.
        name: of the file, for the message.
        limit: pixels that are allowed; None: `DECONTEXT_MAX_PIXELS`, or else 120 million. A limit
            that somebody chose is the only one that counts.

    Raises:
        InputError: it is too large, or the variable is no whole number.
    """
    chosen = _read_variable() if limit is None else limit
    pixels = size[0] * size[1]
    claim = f"{name} claims {size[0]} x {size[1]} pixels ({pixels / 1e6:.0f} million)"
    raising = f"Allow it with {VARIABLE}={pixels} (max_pixels={pixels})"
    if pixels > (MAX_PIXELS if chosen is None else chosen):
        allowed = MAX_PIXELS if chosen is None else chosen
        raise InputError(
            f"{claim}; up to {allowed / 1e6:g} million are read.", f"Make it smaller. {raising}."
        )
    if chosen is None and length and pixels > _PLAUSIBLE and length / pixels < _SMALLEST_DENSITY:
        raise InputError(
            f"{claim} in {length:,} bytes; a photo of that size takes many times as much.",
            f"{raising} if it is a photo all the same.",
        )


def _read_variable() -> int | None:
    """The limit that the environment sets. Raises: InputError: it is no number above 0."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise InputError(
            f"{VARIABLE} is {text!r}; it must be a number of pixels above 0.",
            f"Try {VARIABLE}={2 * MAX_PIXELS}, or leave it unset.",
        )
    return limit
