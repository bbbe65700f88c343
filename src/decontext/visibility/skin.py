"""Where a photo looks like skin.

Beside `guard`, which asks. People know how skin looks: a face that is pink and yellow in patches
is seen at once, where the same change on a wall is not. Scores such as SSIMULACRA2 do not know
that. What is asked is colour alone, so wood and sand count as skin too: they lose nothing by it.
"""

from __future__ import annotations

import torch
from torch import Tensor

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


def _rise(values: Tensor, low: float, high: float) -> Tensor:
    return ((values - low) / (high - low)).clamp(0, 1)
