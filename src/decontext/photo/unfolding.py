"""A stored picture as the upright sRGB pixels that an editor is given, and what is kept beside.

Used by `reading`: the last step there, strip by strip.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from decontext.photo.carrying import Own
from decontext.photo.depth import to_eight
from decontext.photo.exif import stored_view, upright_view
from decontext.photo.levels import strips
from decontext.photo.profiles import ProfileError, Space, find_space

_COLOURS = {"L": 1, "LA": 1, "RGB": 3, "RGBA": 3, "CMYK": 4}


def choose_profile(
    icc: bytes | None, mode: str
) -> tuple[bytes | None, Space | None, tuple[str, ...]]:
    """A picture's profile where it is kept, its colours where they are not sRGB, and notes."""
    channels = _COLOURS[mode]
    try:
        return icc, find_space(icc, channels), ()
    except ProfileError as error:
        note = f"the colour profile is left out, and colours are taken as without one: {error}"
        return None, find_space(None, channels), (note,)


def unfold(
    picture: Image.Image,
    deep: NDArray[np.uint16] | None,
    *,
    icc: bytes | None,
    space: Space | None,
    shown: int,
) -> tuple[Tensor, Tensor | None, Own | None]:
    """Upright pixels `(1, 3, height, width)`, opacity, and the file's own values where they differ.

    Args:
        picture: as it is stored, in mode L, LA, RGB, RGBA or CMYK.
        deep: `(height, width, channels)` its values of 16 bits, if it has them.
        icc: its profile.
        space: its colours, where they are not sRGB.
        shown: the orientation in which viewers show it, 1..8.
    """
    width, height = picture.size if shown < 5 else picture.size[::-1]
    pixels = np.empty((1, 3, height, width), np.float32)
    has_opacity = picture.mode.endswith("A")
    opacity = np.empty((height, width), np.uint8) if has_opacity else None
    own = None
    if deep is None and space is None:
        _spread(picture, pixels, opacity, shown)
    else:
        stored: NDArray[np.uint8] | NDArray[np.uint16] = (
            np.asarray(picture) if deep is None else deep
        )
        stored = stored[..., None] if stored.ndim == 2 else stored
        upright = upright_view(np.moveaxis(stored, -1, 0), shown)
        colours = _COLOURS[picture.mode]
        deep_opacity = upright[-1] if has_opacity and deep is not None else None
        own = Own(upright[:colours], icc, deep_opacity)
        for rows in strips(pixels):
            eight = to_eight(np.moveaxis(upright[:, rows], 0, -1))
            seen = eight[..., :colours] if space is None else space.to_srgb(eight[..., :colours])
            pixels[0, :, rows] = np.moveaxis(seen, -1, 0)
            if opacity is not None:
                opacity[rows] = eight[..., -1]
    result = torch.from_numpy(pixels).div_(255)
    return result, None if opacity is None else torch.from_numpy(opacity), own


def _spread(
    picture: Image.Image,
    pixels: NDArray[np.float32],
    opacity: NDArray[np.uint8] | None,
    shown: int,
) -> None:
    """Fill in the pixels of a picture whose levels they are, without a copy of all of it."""
    stored = stored_view(pixels, shown)
    stored_opacity = None if opacity is None else stored_view(opacity, shown)
    for rows in strips(stored):
        strip = np.asarray(picture.crop((0, rows.start, picture.width, rows.stop)))
        strip = strip[..., None] if strip.ndim == 2 else strip
        colours = strip if stored_opacity is None else strip[..., :-1]
        stored[0, :, rows] = np.moveaxis(colours, -1, 0)
        if stored_opacity is not None:
            stored_opacity[rows] = strip[..., -1]
