"""Facial expressions as weights of anny's facial actions."""

from __future__ import annotations

import functools

import numpy as np

from training.people.fields import smoothstep
from training.people.head import Head

BOTH_SIDES = ("Left", "Right")
# Names ending in * act on both sides.
ACTIONS = {
    "neutral": {},
    "smile": {
        "mouthSmile*": 1.25,
        "jawOpen": 0.20,
        "mouthUpperUp*": 0.65,
        "mouthLowerDown*": 0.35,
        "cheekSquint*": 0.7,
        "mouthStretch*": 0.25,
        "eyeSquint*": 0.15,
    },
    "surprised": {
        "jawOpen": 0.95,
        "browInnerUp": 1.7,
        "browOuterUp*": 1.8,
        "eyeWide*": 1.0,
        "mouthFunnel": 0.35,
    },
    "eyes_closed": {"eyeBlink*": 1.0},
}
# Eyeballs step back behind closed lids.
CLOSED_EYE_SCALE = 0.90
CLOSED_EYE_SHIFT = np.array([0, 0.0035, 0])  # metres


def pose_face(head: Head, vertices: np.ndarray, expression: str) -> np.ndarray:
    """The face `vertices` (V, 3) with an expression, one of `ACTIONS`."""
    if not ACTIONS[expression]:
        return vertices
    posed = vertices + _offsets(head, expression)
    if expression == "eyes_closed":
        for eye in (head.left_eye, head.right_eye):
            middle = posed[eye].mean(0)
            posed[eye] = middle + (posed[eye] - middle) * CLOSED_EYE_SCALE + CLOSED_EYE_SHIFT
    return posed


@functools.cache
def _offsets(head: Head, expression: str) -> np.ndarray:
    """Offsets (V, 3) of an expression, which fade out down the neck."""
    skin = np.arange(len(head.mean)) < head.skin_vertices
    fade = np.where(skin, smoothstep(0.735, 0.775, head.mean[:, 2]), 1.0)[:, None]
    total = sum(
        weight * head.actions[name.replace("*", side)]
        for name, weight in ACTIONS[expression].items()
        for side in (BOTH_SIDES if name.endswith("*") else ("",))
    )
    return fade.astype(np.float32) * total
