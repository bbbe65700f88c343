"""Who a person is: face shape, colours, hair and marks, all drawn from a seed.

The order of the random draws is part of the format: the shipped weights were trained on these
people, and a draw more or less would make everybody somebody else.
"""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from training.people import colours
from training.people.atlas import HEIGHT, WIDTH
from training.people.fields import Hairline
from training.people.head import Head
from training.people.person import (
    BEARD_SHARES,
    BEARDS,
    NO_BEARD,
    STYLES,
    Ancestry,
    Brows,
    Frame,
    Hair,
    Marks,
    Neckline,
    Person,
)
from training.people.phenotype import phenotype_weights

FIRST_SEED = 12345
YOUNGEST, ADULT, OLDER, OLD = 0.5, 0.7, 0.8, 0.85  # anny's age scale, 1 is very old
SLIDER_SPREAD, SLIDER_LIMIT = 0.40, 0.9  # of anny's range of 1 to either side
SIDE_SPREAD = 0.06  # how much two sides of a face differ
# These move the whole head or look wrong.
FIXED_SLIDERS = {
    "head-trans-forward",
    "head-trans-up",
    "head-trans-out",
    "head-angle-out",
    "neck-trans-forward",
    "neck-trans-up",
    "neck-trans-out",
    "nose-trans-out",
    "mouth-trans-out",
    "neck-double-incr",
}
TEETH_SCALE = np.array([0.90, 0.90, 1.0])
TEETH_SHIFT = np.array([0, 0.0035, 0.001])  # metres, backwards and up, behind the lips


def draw_person(head: Head, seed: int) -> Person:
    """The person of this seed."""
    random = RandomState(seed + FIRST_SEED)
    gender = float(np.clip(random.choice([0.08, 0.92]) + random.randn() * 0.1, 0, 1))
    woman = gender > 0.5
    age = float(np.clip(random.beta(1.3, 1.8) * 0.48 + 0.55, YOUNGEST, 1))
    ancestry = Ancestry(*random.dirichlet([0.55, 0.55, 0.55]))
    vertices = _draw_shape(head, random, gender, age, ancestry)
    skin = _draw_skin_colour(random, ancestry)
    hair_name, hair, brow = _draw_hair_colour(random, age, ancestry, skin)
    eyes = _draw_eye_colour(random, ancestry)
    style = _draw_style(random, woman, age, ancestry)
    shirt = np.array(colours.SHIRTS[random.randint(len(colours.SHIRTS))], np.float32)
    shirt = shirt * (1 + 0.06 * random.randn(3))
    neckline = Neckline(
        random.uniform(0.735, 0.755),
        random.uniform(0.4, 0.55),
        float(random.rand() < 0.35) * random.uniform(0.02, 0.06),
    )
    marks = _draw_marks(random, woman, age, ancestry)
    return Person(
        seed=int(seed),
        vertices=vertices,
        skin=skin,
        eyes=eyes,
        hair=Hair(
            colour=hair,
            colour_name=hair_name,
            brow_colour=brow,
            style=style,
            line=_draw_hairline(random, woman, age),
            seed=int(random.randint(1e6)),
            thickness=float(random.uniform(0.8, 1.25)),
            length=float(random.uniform(0, 1)),
            parting=float(random.choice([-1, 1])),
        ),
        shirt=shirt,
        neckline=neckline,
        marks=marks,
        frame=Frame(
            float(random.choice([2.0, 3.0, 5.0])),
            float(random.uniform(0.0225, 0.0265)),
            float(random.uniform(0.0165, 0.022)),
        ),
    )


def _draw_shape(
    head: Head, random: RandomState, gender: float, age: float, ancestry: Ancestry
) -> np.ndarray:
    """Vertices (V, 3) of phenotype, sliders, two head shapes and six asymmetries."""
    phenotype = {
        "gender": gender,
        "age": age,
        "muscle": float(random.uniform(0.2, 0.8)),
        "weight": float(np.clip(0.5 + random.randn() * 0.22, 0.05, 1)),
        "proportions": float(random.uniform(0.3, 1)),
        "cupsize": 0.3,
        "african": float(ancestry.african),
        "asian": float(ancestry.asian),
        "caucasian": float(ancestry.caucasian),
    }
    weights = phenotype_weights(phenotype, head.phenotype_mask)
    used = np.flatnonzero(weights)
    vertices = head.template + np.tensordot(weights[used], head.phenotype_shapes[used], 1)
    for feature, sides in head.sliders.items():
        if feature in FIXED_SLIDERS:
            continue
        amount = _draw_slider(random, feature, age)
        for more, less in sides:
            side = amount + (SIDE_SPREAD * random.randn() if len(sides) == 2 else 0)
            vertices = vertices + (side * more if side >= 0 else -side * less)
    for shapes, count, most in ((head.head_shapes, 2, 0.65), (head.asymmetries, 6, 0.4)):
        for number in random.choice(len(shapes), count, replace=False):
            vertices = vertices + shapes[number] * random.uniform(0, most)
    teeth = vertices[head.upper_teeth]
    middle = teeth.mean(0)
    vertices[head.upper_teeth] = middle + (teeth - middle) * TEETH_SCALE + TEETH_SHIFT
    return vertices.astype(np.float32)


def _draw_slider(random: RandomState, feature: str, age: float) -> float:
    """How far a slider is moved, about -1 to 1."""
    amount = np.clip(SLIDER_SPREAD * random.randn(), -SLIDER_LIMIT, SLIDER_LIMIT)
    if feature.startswith(("head-", "forehead-")):
        amount *= 0.75
    if feature.startswith("ear-"):
        amount *= 0.7
    if feature.startswith("head-age"):
        amount = (age - ADULT) * 1.5 + 0.2 * random.randn()
    if feature.startswith(("eye-push", "neck")):
        amount *= 0.5
    if feature.startswith(("eye-height", "eye-scale")):
        amount = np.clip(amount + 0.22, -0.35, 0.9)  # anny's eyes are small
    return amount


def _draw_skin_colour(random: RandomState, ancestry: Ancestry) -> np.ndarray:
    darkness = 0.10 + 0.80 * ancestry.african + 0.22 * ancestry.asian + 0.06 * ancestry.caucasian
    position = np.clip(darkness + random.randn() * 0.09, 0, 1) * (len(colours.SKIN) - 1)
    lighter = int(min(position, len(colours.SKIN) - 2))
    share = position - lighter
    colour = colours.SKIN[lighter] * (1 - share) + colours.SKIN[lighter + 1] * share
    tint = np.array([1, 1 - 0.02 * ancestry.asian, 1 - 0.06 * ancestry.asian])
    return np.clip(colour * (1 + random.randn(3) * 0.025) * tint, 20, 252)


def _draw_hair_colour(
    random: RandomState, age: float, ancestry: Ancestry, skin: np.ndarray
) -> tuple[str, np.ndarray, np.ndarray]:
    """Name and colour of the hair, and the colour of the brows."""
    african, asian, caucasian = ancestry.african, ancestry.asian, ancestry.caucasian
    if age > OLD and random.rand() < 0.75:
        name = str(random.choice(["grey", "white"]))
    else:
        weights = {
            "black": 0.3 * caucasian + 1.6 * asian + 1.8 * african,
            "darkbrown": 1.0 * caucasian + 0.5 * asian + 0.4 * african,
            "brown": 1.1 * caucasian + 0.1,
            "auburn": 0.5 * caucasian + 0.04,
            "blond": 0.9 * caucasian + 0.02,
            "grey": 0.08,
        }
        shares = np.array(list(weights.values()))
        name = str(random.choice(list(weights), p=shares / shares.sum()))
    colour = np.array(colours.HAIR[name], np.float32)
    varied = colour * (1 + 0.14 * random.randn()) * (1 + 0.05 * random.randn(3))
    hair = np.clip(varied, 10, 245)
    brow = hair * 0.75
    if name in ("grey", "white"):
        brow = np.array((110, 106, 102), np.float32)
    if name == "blond":
        hair = colour * random.uniform(0.88, 1.05)
        brow = np.array((150, 112, 62), np.float32) * random.uniform(0.7, 1.1)
    return name, hair, np.minimum(brow, skin * 0.62) * random.uniform(0.75, 1.05)


def _draw_eye_colour(random: RandomState, ancestry: Ancestry) -> np.ndarray:
    african, asian, caucasian = ancestry.african, ancestry.asian, ancestry.caucasian
    brown = [0.3 + african * 2 + asian * 2, 0.3 + african * 0.6 + asian * 0.6]
    others = [share * caucasian for share in (0.5, 0.35, 0.3, 0.25, 0.2)]
    shares = np.array(brown + others)
    number = random.choice(len(colours.EYES), p=shares / shares.sum())
    return np.array(colours.EYES[number], np.float32) * (1 + 0.1 * random.randn())


def _draw_style(random: RandomState, woman: bool, age: float, ancestry: Ancestry) -> str:
    african = ancestry.african
    if woman:
        weights = {
            "short": 0.06,
            "short2": 0.04,
            "side": 0.07,
            "curly": 0.10,
            "afro": 0.04 + 0.25 * african,
            "long": 0.24,
            "longfringe": 0.14,
            "bob": 0.18,
            "bun": 0.16,
            "buzz": 0.01,
            "bald": 0.005,
        }
    else:
        weights = {
            "short": 0.25,
            "short2": 0.18,
            "side": 0.2,
            "curly": 0.11,
            "afro": 0.02 + 0.15 * african,
            "long": 0.05,
            "longfringe": 0.01,
            "bob": 0.03,
            "bun": 0.02,
            "buzz": 0.13,
            "bald": 0.06 + 0.08 * (age > OLDER),
        }
    shares = np.array([weights[style] for style in STYLES])
    return str(random.choice(STYLES, p=shares / shares.sum()))


def _draw_marks(random: RandomState, woman: bool, age: float, ancestry: Ancestry) -> Marks:
    # Arguments are evaluated, and so drawn, in the order written.
    return Marks(
        brows=Brows(
            thickness=random.uniform(0.0022, 0.0058) * (0.85 if woman else 1.15),
            rise=random.uniform(0.013, 0.0215),
            arch=random.uniform(-0.001, 0.006),
            tilt=random.uniform(-0.004, 0.004),
            inner=random.uniform(0.008, 0.016),
            outer=random.uniform(0.044, 0.056),
            density=random.uniform(0.7, 1.0),
        ),
        lipstick=random.uniform(0, 1) * (1.0 if woman else 0.25),
        lip_colour=np.array(colours.LIPSTICKS[random.randint(len(colours.LIPSTICKS))], np.float32),
        blush=random.uniform(0, 0.22),
        red_nose=random.uniform(0, 0.15),
        eye_shadow=random.uniform(0, 0.35) + (0.2 if woman and random.rand() < 0.4 else 0),
        freckles=(
            random.uniform(0.4, 1) if ancestry.caucasian > 0.5 and random.rand() < 0.28 else 0
        ),
        beard=NO_BEARD if woman else float(random.choice(BEARDS, p=BEARD_SHARES)),
        moles=[_draw_mole(random) for _ in range(random.poisson(0.9))],
        wrinkles=max(0, (age - 0.75) * 3) + 0.15 * random.rand(),
        roll=(random.randint(HEIGHT), random.randint(WIDTH)),
        eye_liner=random.uniform(0.4, 1) if woman and random.rand() < 0.6 else 0.1,
        under_eyes=random.uniform(0, 0.3),
    )


def _draw_mole(random: RandomState) -> tuple[float, float, float]:
    return (
        random.uniform(-0.055, 0.055),
        random.uniform(0.80, 0.955),
        random.uniform(0.0012, 0.0026),
    )


def _draw_hairline(random: RandomState, woman: bool, age: float) -> Hairline:
    front, temple = random.randn() * 0.010, random.randn() * 0.010
    if not woman:
        front = front + 0.006 + 0.012 * (age > OLDER)
        temple = temple + 0.012 * (age > 0.75)
    return Hairline(
        front=float(np.clip(front, -0.02, 0.035)),
        temple=float(np.clip(temple, -0.012, 0.035)),
        side=float(random.uniform(-0.005, 0.03) if woman else random.uniform(-0.025, 0.02)),
        nape=float(random.uniform(-0.01, 0.02)),
    )
