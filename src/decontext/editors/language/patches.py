"""What Qwen's image processors do to a photo, with a gradient to every pixel.

The photo is brought to a size of whole tokens, normalised, and cut into patches in the order in
which the vision tower expects them. No picture file and no array library stands in between, so
that a perturbation can be followed into the language model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from decontext.errors import InputError
from decontext.photo.resampling import resize

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures; the published processors' configurations have the same."""

LONGEST_RATIO = 200


@dataclass(frozen=True)
class Grid:
    """How a vision tower divides a picture, and between how many tokens a picture is kept.

    A patch has `patch` pixels a side and is repeated over `frames`; `merge` x `merge` patches
    are one token of the language model. `fewest` and `most` are numbers of pixels. What they are
    not told otherwise are transformers' own defaults.
    """

    patch: int = 14
    merge: int = 2
    frames: int = 2
    fewest: int = 56 * 56
    most: int = 28 * 28 * 1280
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION

    @property
    def token(self) -> int:
        """Pixels a side of a token."""
        return self.patch * self.merge

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Grid:
        """Of a processor's configuration, in either of the forms that transformers writes."""
        config = config.get("image_processor") or config
        size = config.get("size") or {}
        own: dict[str, Any] = {
            "patch": config.get("patch_size"),
            "merge": config.get("merge_size"),
            "frames": config.get("temporal_patch_size"),
            "fewest": config.get("min_pixels") or size.get("shortest_edge"),
            "most": config.get("max_pixels") or size.get("longest_edge"),
            "mean": tuple(config.get("image_mean") or ()),
            "deviation": tuple(config.get("image_std") or ()),
        }
        return cls(**{name: value for name, value in own.items() if value})


def fit(width: int, height: int, grid: Grid) -> tuple[int, int]:
    """Size in pixels, `(width, height)`, at which the vision tower sees a picture.

    The nearest whole tokens; where they are too many or too few, scaled to fit and cut to whole.

    Raises:
        InputError: one side is more than 200 times the other.
    """
    longest, shortest = max(width, height), min(width, height)
    if longest > LONGEST_RATIO * shortest:
        raise InputError(
            f"the photo is {width} x {height}; one side must be at most 200 times the other.",
            "Crop it.",
        )
    side = grid.token
    wide, tall = (round(length / side) * side for length in (width, height))
    if wide * tall > grid.most:
        scale = math.sqrt(width * height / grid.most)
        wide, tall = (
            max(side, math.floor(length / scale / side) * side) for length in (width, height)
        )
    elif wide * tall < grid.fewest:
        scale = math.sqrt(grid.fewest / (width * height))
        wide, tall = (math.ceil(length * scale / side) * side for length in (width, height))
    return wide, tall


def to_patches(image: Tensor, grid: Grid) -> tuple[Tensor, tuple[int, int]]:
    """Patches `(patches, 3 * frames * patch ** 2)` of a photo, and how many there are each way.

    `image` is `(1, 3, height, width)` in [0, 1], at least float32. Patches of one token lie
    together, tokens follow each other row by row. The second value is `(rows, columns)` of patches.
    """
    size = fit(image.shape[-1], image.shape[-2], grid)
    if size != (image.shape[-1], image.shape[-2]):
        image = resize(image, size, kernel="bicubic")
    mean, deviation = (image.new_tensor(v).view(1, 3, 1, 1) for v in (grid.mean, grid.deviation))
    pixels = ((image - mean) / deviation)[0]
    rows, columns = (length // grid.patch for length in pixels.shape[-2:])
    tokens = pixels.reshape(
        3, rows // grid.merge, grid.merge, grid.patch, columns // grid.merge, grid.merge, grid.patch
    ).permute(1, 4, 2, 5, 0, 3, 6)
    frames = tokens.unsqueeze(5).expand(*tokens.shape[:5], grid.frames, grid.patch, grid.patch)
    return frames.reshape(rows * columns, -1), (rows, columns)


def digest(*patches: Tensor) -> str:
    """The same for the same patches and for no others: to find what was computed from them."""
    if any(one.is_meta for one in patches):  # nothing is in them
        return f"meta {[tuple(one.shape) for one in patches]}"
    found = hashlib.sha256()
    for one in patches:
        values = one.detach().to("cpu").contiguous()
        found.update(f"{tuple(values.shape)} {values.dtype}".encode())
        found.update(values.numpy().tobytes())
    return found.hexdigest()
