"""What the page shows of a photo: smaller pictures, the difference, and where it is seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from decontext.photo.images import to_array
from decontext.visibility.picture import AMPLIFIED, amplify, heat_map

LARGEST_VIEW = 1280
"""Pixels: the longest side of what fits the page. Zooming shows the files themselves."""

SHOWN = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Formats that every browser shows."""


@dataclass(frozen=True)
class Views:
    """Files to show: photo and protected photo reduced, the difference, and a heat map.

    `middle` says that the difference is that of the middle at its own size, as a whole large photo
    reduced to the page would hide it.
    """

    original: Path
    protected: Path
    difference: Path
    heat: Path
    width: int
    height: int
    middle: bool


def write_views(original: Tensor, protected: Tensor, folder: Path) -> Views:
    """Write the views of two pictures `(1, 3, height, width)` in [0, 1] into a folder, as PNG."""
    height, width = original.shape[-2:]
    large = max(height, width) > LARGEST_VIEW
    before, after = reduce(original), reduce(protected)
    if large:
        part = _middle(height, width)
        difference = amplify(original[part], protected[part])
    else:
        difference = amplify(original, protected)
    return Views(
        original=_write(before, folder / "original.png"),
        protected=_write(after, folder / "protected.png"),
        difference=_write(difference, folder / f"difference-x{AMPLIFIED}.png"),
        heat=_write(heat_map(before, after), folder / "seen.png"),
        width=before.shape[-1],
        height=before.shape[-2],
        middle=large,
    )


def write_picture(picture: Tensor, path: Path) -> Path:
    """Write a picture `(1, 3, height, width)` as PNG."""
    return _write(picture, path)


def reduce(picture: Tensor, longest: int = LARGEST_VIEW) -> Tensor:
    """A picture no longer than `longest` pixels, by means over areas; a smaller one as it is."""
    height, width = picture.shape[-2:]
    factor = longest / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    with torch.no_grad():
        return functional.interpolate(picture, size=size, mode="area")


def _middle(height: int, width: int) -> tuple[Any, ...]:
    rows, columns = min(height, LARGEST_VIEW), min(width, LARGEST_VIEW)
    top, left = (height - rows) // 2, (width - columns) // 2
    return (..., slice(top, top + rows), slice(left, left + columns))


def _write(picture: Tensor, path: Path) -> Path:
    Image.fromarray(to_array(picture)).save(path, "PNG", compress_level=1)
    path.chmod(0o600)
    return path
