"""A change of a photo as a sum of layers, each half as fine as the one before.

Between the photo and the optimiser on the way of the data. The finest layer has the pixels of what
the editor sees: finer change would be seen by people and not by the editor. Each number of a layer
counts in units of what people let pass there (`distance.ALLOWED`, more in texture, less colour on
skin), so that a step of the optimiser is as visible in one place, colour and scale as in another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from decontext.settings import LARGE_PHOTO
from decontext.visibility.distance import (
    ALLOWED,
    TO_YCC,
    blend_bands,
    halve,
    tolerance,
)

COUNT = 5
"""Layers: from one pixel of what the editor sees to sixteen."""

_HIDES = 0.5
"""Of the logarithm of what the photo lets pass, that a unit grows by."""


class Layers:
    """The layers of one photo's change.

    Attributes:
        units: of each layer, `(1, channels, height, width)`, in levels of 255 of brightness, blue
            and red; of a grey photo brightness alone.
        first: how many times the photo was halved for the finest one.
    """

    def __init__(self, photo: Tensor, *, first: int = 0, grey: bool = False) -> None:
        self.first, self._size = first, photo.shape[-2:]
        self._channels = 1 if grey else 3
        rows = torch.tensor(TO_YCC, device=photo.device)
        self._to_ycc, self._to_rgb = rows * 255, torch.linalg.inv(rows) / 255
        self.units: list[Tensor] = []
        scale = blend_bands(photo, self._to_ycc, first)
        for octave in range(first, first + COUNT):
            scale = halve(scale) if octave > first else scale
            allowed = [channel[min(octave, len(channel) - 1)] for channel in ALLOWED]
            unit = torch.tensor(allowed, device=photo.device)[:, None, None]
            self.units.append((unit * tolerance(scale, octave).pow_(_HIDES))[:, : self._channels])

    def noise(self, reach: float, generator: torch.Generator) -> list[Tensor]:
        """Normal noise of so many units, drawn on the CPU: the same everywhere."""
        return [
            (torch.randn(unit.shape, generator=generator) * reach).to(unit.device)
            for unit in self.units
        ]

    def of(self, change: Tensor) -> list[Tensor]:
        """Layers that add up to a change `(1, 3, height, width)`, all of it in the finest."""
        finest = blend_bands(change, self._to_ycc, self.first)[:, : self._channels]
        return [finest / self.units[0], *(torch.zeros_like(unit) for unit in self.units[1:])]

    def add(self, values: Sequence[Tensor]) -> Tensor:
        """The change that they add up to, in brightness and colours, of the finest layer's size."""
        total = self.units[-1] * values[-1]
        for unit, value in zip(self.units[-2::-1], values[-2::-1], strict=True):
            total = _enlarge(total, unit.shape[-2:]) + unit * value
        return total

    def spread(self, change: Tensor) -> Tensor:
        """What `add` returned as a change of RGB values, `(1, 3, height, width)` of the photo."""
        mixed = torch.einsum("ij,bjhw->bihw", self._to_rgb[:, : self._channels], change)
        return _enlarge(mixed, self._size)


def first_layer(photo: tuple[int, int], seen: Sequence[tuple[int, int]]) -> int:
    """How often a photo is halved for the finest layer, by its size and those the editor sees.

    Of what the editor sees it is the pixel, or of photos whose memory allows it half of that: the
    layers then follow the photo's own texture more closely.
    """
    ratio = times_as_long(photo, seen)
    spare = 0 if photo[0] * photo[1] > LARGE_PHOTO else 1
    return max(0, int(math.log2(ratio) + 0.1) - spare) if ratio > 1 else 0


def times_as_long(photo: tuple[int, int], seen: Sequence[tuple[int, int]]) -> float:
    """How many times as long and wide a photo is as the largest of the sizes the editor sees."""
    return math.sqrt(photo[0] * photo[1] / max(width * height for width, height in seen))


def _enlarge(picture: Tensor, size: torch.Size) -> Tensor:
    if picture.shape[-2:] == size:
        return picture
    return functional.interpolate(picture, size=size, mode="bilinear", align_corners=False)
