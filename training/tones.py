"""The edits that hold for any photograph: black and white, sepia, frames and the like."""

from __future__ import annotations

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)
FRAME = 8  # pixels


def _frame(picture: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    framed = picture.copy()
    for edge in (np.s_[:FRAME], np.s_[-FRAME:], np.s_[:, :FRAME], np.s_[:, -FRAME:]):
        framed[edge] = colour
    return framed


def tone(picture: np.ndarray, name: str) -> np.ndarray:
    """`picture` (height, width, 3) in [0, 1], edited as `training.instructions` names it."""
    gains = {"warmer": ((1.15, 1.0, 0.75), (0.06, 0.02, 0.0))}
    gains["cooler"] = ((0.78, 0.98, 1.15), (0.0, 0.02, 0.06))
    if name == "black and white":
        edited = (picture @ LUMA)[..., None].repeat(3, -1)
    elif name == "sepia":
        edited = picture @ SEPIA.T
    elif name == "inverted":
        edited = 1 - picture
    elif name in gains:
        gain, lift = gains[name]
        edited = picture * np.array(gain) + np.array(lift)
    elif name == "darker":
        edited = picture * 0.5
    elif name == "brighter":
        edited = picture * 0.6 + 0.4
    elif name == "red frame":
        edited = _frame(picture, (0.8, 0.1, 0.1))
    elif name == "white frame":
        edited = _frame(picture, (1.0, 1.0, 1.0))
    else:
        raise ValueError(f"no tone named {name!r}")
    return np.clip(edited, 0, 1).astype(np.float32)
