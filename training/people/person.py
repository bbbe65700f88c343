"""What a person is made of: the values that `identity` draws and everything else reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.people.fields import Hairline

NO_BEARD, FULL_BEARD, GOATEE, MOUSTACHE = 0, 1.0, 1.1, 1.2
BEARDS = (NO_BEARD, 0.18, 0.35, FULL_BEARD, GOATEE, MOUSTACHE)  # between: stubble of that density
BEARD_SHARES = (0.38, 0.16, 0.12, 0.12, 0.12, 0.10)

STYLES = (
    "short",
    "short2",
    "side",
    "curly",
    "afro",
    "long",
    "longfringe",
    "bob",
    "bun",
    "buzz",
    "bald",
)


@dataclass(frozen=True)
class Ancestry:
    """Shares that sum to 1."""

    african: float
    asian: float
    caucasian: float


@dataclass(frozen=True)
class Neckline:
    """A shirt's upper edge: height in metres at y = 0, rise per metre of y, depth of the V."""

    height: float
    slope: float
    cut: float


@dataclass(frozen=True)
class Brows:
    """Lengths in metres; `rise` is the height above the eye, `inner` and `outer` are |x|."""

    thickness: float
    rise: float
    arch: float
    tilt: float
    inner: float
    outer: float
    density: float


@dataclass(frozen=True)
class Marks:
    """What is painted on the skin; strengths in [0, 1] unless said otherwise."""

    brows: Brows
    lipstick: float
    lip_colour: np.ndarray
    blush: float
    red_nose: float
    eye_shadow: float
    freckles: float
    beard: float  # one of BEARDS
    moles: list[tuple[float, float, float]]  # x, z and radius in metres
    wrinkles: float
    roll: tuple[int, int]  # texels by which the skin's noise is shifted
    eye_liner: float
    under_eyes: float


@dataclass(frozen=True)
class Hair:
    colour: np.ndarray
    colour_name: str
    brow_colour: np.ndarray
    style: str
    line: Hairline
    seed: int
    thickness: float  # factor around 1
    length: float  # 0 short to 1 long, within the style
    parting: float  # -1 or 1, the side


@dataclass(frozen=True)
class Frame:
    """Glasses: superellipses with this exponent, half width and half height in metres."""

    exponent: float
    half_width: float
    half_height: float


@dataclass(frozen=True, eq=False)
class Person:
    """Colours are sRGB levels, (3,)."""

    seed: int
    vertices: np.ndarray  # (V, 3) float32, metres
    skin: np.ndarray
    eyes: np.ndarray
    hair: Hair
    shirt: np.ndarray
    neckline: Neckline
    marks: Marks
    frame: Frame
