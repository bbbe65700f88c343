"""Where a photo looks like skin, and how much more a change of colour counts there.

Beside `distance`, which asks. People know how skin looks: a face that is pink and yellow in patches
is seen at once, where the same change on a wall is not. Scores such as SSIMULACRA2 do not know
that. What is asked is colour alone, so wood and sand count as skin too: they lose nothing by it.
"""

from __future__ import annotations

import torch
from torch import Tensor

COUNTS = 4.0
"""How many times as much the square of a change of colour counts on skin. What other numbers
brought is in docs/visibility.md."""

FIRST_OCTAVE = 2
"""From pixels of 4 x 4 of the photo on: finer colour is hardly seen anywhere."""

HUE, SPREAD = 52.0, 22.0
"""Degrees from blue's complement to red: of skin from pale to dark, and how far from it."""

LEAST_COLOUR, CLEAR_COLOUR = 5.0, 13.0
"""Levels of 255 of colour: from the first on it may be skin, from the second on it is as likely."""

DARKEST, CLEAR_BRIGHTNESS = 35.0, 60.0
"""Levels of 255 of brightness, likewise."""


def skin_like(scale: Tensor) -> Tensor:
    """How much each place looks like skin, `(1, 1, height, width)` in [0, 1].

    `scale` is a photo's brightness and differences of blue and red, `(1, 3, height, width)` in
    levels of 255, as `distance.blend_bands` returns them.
    """
    brightness, blue, red = scale[:, 0:1], scale[:, 1:2], scale[:, 2:3]
    hue = torch.rad2deg(torch.atan2(red, -blue))
    near = torch.exp(-0.5 * ((hue - HUE) / SPREAD) ** 2)
    colour = (blue.square() + red.square()).sqrt()
    return (
        near
        * _rise(colour, LEAST_COLOUR, CLEAR_COLOUR)
        * _rise(brightness, DARKEST, CLEAR_BRIGHTNESS)
    )


def guard_skin(scale: Tensor, octave: int) -> Tensor:
    """How many times as much the square of a change counts at each place because it is skin.

    `(1, 3, height, width)`, from 1, for a photo's scale of an octave. Brightness counts as ever.
    """
    counts = torch.ones_like(scale)
    if octave >= FIRST_OCTAVE:
        counts[:, 1:] += (COUNTS - 1) * skin_like(scale)
    return counts


def _rise(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) / (high - low)).clamp(0, 1)
