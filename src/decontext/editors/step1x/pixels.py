"""At which size the language model of Step1X-Edit sees a photo, and where its tokens then lie."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from decontext.editors.language import patches
from decontext.editors.language.patches import Grid
from decontext.photo.resampling import resize

GRID = Grid(fewest=256 * 28**2, most=324 * 28**2)
"""Of every Qwen2.5-VL, with the numbers of pixels that Step1X-Edit sets."""

GRID_V1_2 = replace(GRID, most=400 * 28**2)
"""Of v1.2, whose program reads a picture with nothing but its processor."""

OUTER = replace(GRID, fewest=4 * 28**2, most=16_384 * 28**2)
"""Within which the original's reading of the picture keeps, before its processor."""


def fit(width: int, height: int, grid: Grid = GRID) -> tuple[int, int]:
    """Size in pixels, `(width, height)`, at which the vision tower sees a picture.

    The original reads the picture at the nearest whole number of tokens a side, and its processor
    then fits that between the fewest and the most.

    Raises:
        InputError: one side is more than 200 times the other.
    """
    return patches.fit(*patches.fit(width, height, OUTER), grid)


def to_patches(image: Tensor, grid: Grid = GRID) -> tuple[Tensor, tuple[int, int]]:
    """See `language.patches.to_patches`."""
    nearest = patches.fit(image.shape[-1], image.shape[-2], OUTER)
    return patches.to_patches(resize(image, nearest, kernel="bicubic"), grid)


def to_patches_v1_2(image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """See `language.patches.to_patches`."""
    return patches.to_patches(image, GRID_V1_2)
