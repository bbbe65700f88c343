"""Named colours and gamma. Colours are sRGB levels, 0 to 255; shading is done in linear light."""

from __future__ import annotations

import numpy as np

GAMMA = 2.2
HAIR = {
    "black": (28, 24, 24),
    "darkbrown": (58, 38, 27),
    "brown": (95, 62, 38),
    "auburn": (120, 52, 28),
    "blond": (226, 190, 112),
    "grey": (150, 150, 150),
    "white": (215, 212, 208),
}
# From the lightest to the darkest.
SKIN = np.array(
    [
        (246, 214, 192),
        (232, 190, 160),
        (206, 156, 120),
        (164, 112, 78),
        (112, 72, 50),
        (66, 42, 32),
    ],
    np.float32,
)
EYES = (
    (62, 40, 22),
    (88, 56, 30),
    (50, 96, 150),
    (88, 134, 170),
    (70, 112, 66),
    (110, 104, 58),
    (96, 104, 112),
)
SHIRTS = (
    (200, 60, 50),
    (40, 70, 140),
    (60, 120, 80),
    (230, 230, 225),
    (40, 40, 46),
    (150, 110, 160),
    (220, 180, 70),
    (110, 150, 180),
    (120, 84, 60),
    (210, 140, 150),
)
LIPSTICKS = ((176, 40, 60), (200, 80, 90), (140, 40, 60), (205, 90, 70))
# What a prompt can name, in the order of the numbers in a shard: red, green, blue, yellow, white,
# grey.
WALLS = (
    (200, 40, 40),
    (50, 150, 70),
    (45, 80, 180),
    (235, 205, 60),
    (245, 245, 245),
    (60, 60, 64),
)


def to_linear(levels: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """sRGB levels 0..255 to linear light 0..1, float32."""
    return (np.asarray(levels, np.float32) / 255.0) ** GAMMA
