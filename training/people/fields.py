"""Scalar fields over the head: soft edges, smooth noise, height above the hairline.

Positions are in metres in the head model's axes: x to the person's left, -y forward, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NECK_AXIS_Y = -0.035  # metres; directions around the head are seen from this upright axis
# The average hairline: height in metres by direction in degrees, 0 is the nose and 180 the nape.
HAIRLINE_DEGREES = (0, 25, 45, 60, 72, 88, 95, 112, 120, 140, 180)
HAIRLINE_HEIGHT = (0.966, 0.963, 0.945, 0.915, 0.872, 0.868, 0.898, 0.90, 0.84, 0.812, 0.80)
WAVES = 10  # sine waves summed to smooth noise


@dataclass(frozen=True)
class Hairline:
    """How far a person's hairline lies above the average one, in metres."""

    front: float = 0.0
    temple: float = 0.0
    side: float = 0.0
    nape: float = 0.0


def smoothstep(start: float, end: float, value: np.ndarray) -> np.ndarray:
    """0 before `start`, 1 after `end`, a cubic without kinks between; `start` may be larger."""
    share = np.clip((value - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def direction(points: np.ndarray) -> np.ndarray:
    """Degrees (...,) around the head of points (..., 3), 0 to 180, both sides alike."""
    return np.degrees(np.arctan2(np.abs(points[..., 0]), -(points[..., 1] - NECK_AXIS_Y)))


def above_hairline(height: np.ndarray, degrees: np.ndarray, line: Hairline) -> np.ndarray:
    """Metres above the hairline of points at `height` and in a direction; negative is bare."""
    edge = np.interp(degrees, HAIRLINE_DEGREES, HAIRLINE_HEIGHT)
    edge = (
        edge
        + line.front * smoothstep(60, 20, degrees)
        + line.temple * np.exp(-(((degrees - 42) / 14) ** 2))
        + line.side * np.exp(-(((degrees - 78) / 9) ** 2))
        + line.nape * smoothstep(115, 150, degrees)
    )
    return height - edge


def smooth_noise(points: np.ndarray, frequency: float, seed: int) -> np.ndarray:
    """Noise of unit variance (N,) at points (N, 3); `frequency` in radians a metre."""
    random = np.random.RandomState(seed)
    total = np.zeros(len(points), np.float32)
    for _ in range(WAVES):
        wave = random.randn(3) * frequency
        total += np.sin(points @ wave + random.rand() * 6.28)
    return total / np.sqrt(WAVES / 2)
