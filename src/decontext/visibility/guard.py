"""Where a change of a photo counts more than its texture says: on skin and on plain places.

Beside `distance`, which asks. A face that is pink and yellow in patches is seen at once, and so are
lines and clouds in a plain sky or wall, where scores such as SSIMULACRA2 hardly count them. What is
dear there goes to hair, clothes and leaves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from decontext.visibility.skin import skin_like

ON_SKIN, ON_PLAIN = 4.0, 9.0
"""How many times as much the square of a change counts: of colour on skin, and of all of it on
plain places. What other numbers brought is in docs/visibility.md."""

FIRST_OCTAVE = 2
"""Of colour, from pixels of 4 x 4 of the photo on: finer colour is hardly seen anywhere."""

PLAIN_CONTRAST = 3.0
"""Levels of 255 of local contrast of brightness, by which a place is no longer plain."""


def guard(scale: Tensor, contrast: Tensor, octave: int) -> Tensor:
    """How many times as much the square of a change counts at each place, from 1.

    Args:
        scale: a photo's brightness and differences of blue and red at an octave, `(1, 3, height,
            width)` in levels of 255, as `distance.blend_bands` returns them.
        contrast: local contrast of the brightness there, `(1, 1, height, width)`, levels of 255.
        octave: of the scale; 0 is the photo's own pixel.
    Returns: of the shape of `scale`.
    """
    counts = torch.ones_like(scale)
    plain = plain_like(contrast)
    counts[:, 0:1] += (ON_PLAIN - 1) * plain
    if octave >= FIRST_OCTAVE:
        counts[:, 1:] += torch.maximum((ON_SKIN - 1) * skin_like(scale), (ON_PLAIN - 1) * plain)
    return counts


def plain_like(contrast: Tensor) -> Tensor:
    """How plain each place is, in [0, 1], by its local contrast in levels of 255."""
    return torch.exp(-((contrast / PLAIN_CONTRAST) ** 2))
