"""What Qwen2.5-VL's image processor does to a photo, with a gradient to every pixel.

The photo is brought to a size of whole tokens, normalised, and cut into patches in the order in
which the vision tower expects them. No picture file and no array library stands in between, so
that a perturbation can be followed into the language model.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.resampling import resize

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures; the processor's own configuration has the same."""

LONGEST_RATIO = 200
OUTER_TOKENS = (4, 16_384)
"""Fewest and most tokens to which the original's reading of the picture keeps."""


@dataclass(frozen=True)
class Grid:
    """How a vision tower divides a picture, and between how many tokens the editor keeps it.

    A patch has `patch` pixels a side and is repeated over `frames`; `merge` x `merge` patches
    are one token of the language model.
    """

    patch: int = 14
    merge: int = 2
    frames: int = 2
    fewest: int = 256
    most: int = 324

    @property
    def token(self) -> int:
        """Pixels a side of a token."""
        return self.patch * self.merge


GRID = Grid()
"""Of every Qwen2.5-VL, with the numbers of tokens that Step1X-Edit sets."""


def fit(width: int, height: int, grid: Grid = GRID) -> tuple[int, int]:
    """Size in pixels, `(width, height)`, at which the vision tower sees a picture.

    The original reads the picture at the nearest whole number of tokens a side, and its processor
    then fits that between the fewest and the most tokens.

    Raises:
        InputError: one side is more than 200 times the other.
    """
    longest, shortest = max(width, height), min(width, height)
    if longest > LONGEST_RATIO * shortest:
        raise InputError(
            f"the photo is {width} x {height}; one side must be at most 200 times the other.",
            "Crop it.",
        )
    size = _fit_between(width, height, grid.token, *OUTER_TOKENS)
    return _fit_between(*size, grid.token, grid.fewest, grid.most)


def _fit_between(width: int, height: int, side: int, fewest: int, most: int) -> tuple[int, int]:
    """Nearest whole tokens; where they are too many or too few, scaled to fit and cut to whole."""
    low, high = fewest * side**2, most * side**2
    wide, tall = (round(length / side) * side for length in (width, height))
    if wide * tall > high:
        scale = math.sqrt(width * height / high)
        wide, tall = (
            max(side, math.floor(length / scale / side) * side) for length in (width, height)
        )
    elif wide * tall < low:
        scale = math.sqrt(low / (width * height))
        wide, tall = (math.ceil(length * scale / side) * side for length in (width, height))
    return wide, tall


def to_patches(image: Tensor, grid: Grid = GRID) -> tuple[Tensor, tuple[int, int]]:
    """Patches `(patches, 3 * frames * patch ** 2)` of a photo, and how many there are each way.

    `image` is `(1, 3, height, width)` float32 in [0, 1]. Patches of one token lie together, tokens
    follow each other row by row. The second value is `(rows, columns)` of patches.
    """
    height, width = image.shape[-2:]
    nearest = _fit_between(width, height, grid.token, *OUTER_TOKENS)
    for size in (nearest, fit(width, height, grid)):
        image = resize(image, size, kernel="bicubic")
    mean, deviation = (image.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    pixels = ((image - mean) / deviation)[0]
    rows, columns = (length // grid.patch for length in pixels.shape[-2:])
    tokens = pixels.reshape(
        3, rows // grid.merge, grid.merge, grid.patch, columns // grid.merge, grid.merge, grid.patch
    ).permute(1, 4, 2, 5, 0, 3, 6)
    frames = tokens.unsqueeze(5).expand(*tokens.shape[:5], grid.frames, grid.patch, grid.patch)
    return frames.reshape(rows * columns, -1), (rows, columns)


def digest(patches: Tensor) -> str:
    """The same for the same patches and for no others: to find what was computed from them."""
    if patches.is_meta:  # nothing is in them
        return f"meta {tuple(patches.shape)}"
    values = patches.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()
