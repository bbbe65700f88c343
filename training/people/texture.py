"""Paint a person's skin and eyes: textures in linear light, float32.

The skin is painted in layers, each a function that takes the picture and returns it. Places are
given on the average head, in metres: `aside` is the distance from the middle of the face, z is up.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.people.atlas import HEIGHT, WIDTH, Atlas
from training.people.colours import to_linear
from training.people.fields import above_hairline, smoothstep
from training.people.head import Head
from training.people.person import FULL_BEARD, GOATEE, MOUSTACHE, Person

CHEEK = (0.042, 0.872)  # aside, z
NOSE_TIP_Z = 0.862
FOREHEAD_WRINKLES_Z = (0.938, 0.948, 0.958)
MOUTH_CORNER_FOLD = (0.021, 0.868)  # where the fold beside the nose begins: aside, z
CROWS_FEET_ASIDE = 0.058
MOUSTACHE_Z = 0.8385
BEARD_CHEEK_Z = 0.845
FRECKLE_THRESHOLD = 1.75  # of the noise's standard deviation
EYE_SIZE = 96  # texels
# Radii in the eye's texture, of which the eyeball's is 1.
IRIS, PUPIL = 0.47, (0.23, 0.17)
CATCHLIGHT = (-0.17, -0.19)


def paint_skin(head: Head, atlas: Atlas, person: Person) -> np.ndarray:
    """The skin of face, ears and neck: (768, 400, 3)."""
    skin = _base(atlas, person)
    skin = _redden(skin, atlas, person)
    skin = _shade_eyes(skin, head, atlas, person)
    skin = _paint_lips(skin, atlas, person)
    skin *= 1 - (atlas.ears * 0.12)[..., None] * np.array([0, 0.8, 0.8])
    if person.marks.freckles:
        skin = _freckle(skin, atlas, person)
    for x, z, radius in person.marks.moles:
        distance = ((atlas.x - x) ** 2 + (atlas.z - z) ** 2) / radius**2
        skin *= (1 - 0.8 * np.exp(-distance * distance) * atlas.front)[..., None]
    if person.marks.wrinkles > 0.05:
        skin = _wrinkle(skin, head, atlas, person)
    if person.marks.beard > 0:
        skin = _grow_beard(skin, atlas, person)
    skin = _draw_brows(skin, head, atlas, person)
    if person.hair.style in ("buzz", "bald"):
        skin = _shade_scalp(skin, atlas, person)
    return np.ascontiguousarray(np.clip(skin, 0.002, 0.98), dtype=np.float32)


def _over(below: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """`colour` (3,) laid over a picture, opaque where `cover` (h, w) is 1."""
    cover = cover[..., None]
    return below * (1 - cover) + colour.astype(np.float32) * cover


def _rolled(noise: np.ndarray, person: Person) -> np.ndarray:
    return np.roll(noise, person.marks.roll, (0, 1))


def _base(atlas: Atlas, person: Person) -> np.ndarray:
    skin = np.empty((HEIGHT, WIDTH, 3), np.float32)
    skin[:] = to_linear(person.skin)
    pores = 0.018 * _rolled(atlas.pore_noise, person)
    patches = 0.02 * _rolled(atlas.patch_noise, person)
    skin *= (1 + pores + patches + 0.045 * _rolled(atlas.cheek_noise, person))[..., None]
    return skin


def _redden(skin: np.ndarray, atlas: Atlas, person: Person) -> np.ndarray:
    """Cheeks and the tip of the nose."""
    aside, z = atlas.aside, atlas.z
    cheeks = np.exp(-(((aside - CHEEK[0]) / 0.018) ** 2) - ((z - CHEEK[1]) / 0.018) ** 2)
    nose = np.exp(-((aside / 0.016) ** 2) - ((z - NOSE_TIP_Z) / 0.014) ** 2)
    cheeks, nose = cheeks * atlas.front, nose * atlas.front
    strength = (person.marks.blush * cheeks * 2 + person.marks.red_nose * nose * 2)[..., None]
    skin *= 1 - strength + strength * np.array([1.0, 0.62, 0.60], np.float32)
    return skin


def _shade_eyes(skin: np.ndarray, head: Head, atlas: Atlas, person: Person) -> np.ndarray:
    """Eye shadow, rings under the eyes, and lined lids."""
    eye_x, eye_z = float(head.eye_centre[0]), float(head.eye_centre[2])
    aside, z, marks = atlas.aside - eye_x, atlas.z - eye_z, person.marks
    socket = np.exp(-((aside / 0.022) ** 2 + ((z - 0.002) / 0.013) ** 2)) * atlas.front
    skin *= 1 - (marks.eye_shadow * socket)[..., None] * np.array([0.55, 0.7, 0.65])
    ring = np.exp(-((aside / 0.017) ** 2) - ((z + 0.017) / 0.006) ** 2) * atlas.front
    skin *= (1 - 0.5 * (ring * marks.under_eyes))[..., None]
    skin *= 1 - (np.clip(atlas.eyelids, 0, 1) * marks.eye_liner * 0.75)[..., None]
    return skin


def _paint_lips(skin: np.ndarray, atlas: Atlas, person: Person) -> np.ndarray:
    lipstick = person.marks.lipstick
    light = 0.35 + 0.65 * min(1, person.skin.mean() / 190)
    bare = to_linear(person.skin) * np.array([0.80, 0.50, 0.52])
    colour = bare * (1 - lipstick) + to_linear(person.marks.lip_colour) * lipstick * light
    return _over(skin, colour, atlas.lips * 0.85)


def _freckle(skin: np.ndarray, atlas: Atlas, person: Person) -> np.ndarray:
    band = np.exp(-((atlas.aside / 0.055) ** 4) - ((atlas.z - CHEEK[1]) / 0.028) ** 4)
    spots = (_rolled(atlas.freckle_noise, person) > FRECKLE_THRESHOLD) * band * atlas.front
    spots = cv2.GaussianBlur(spots.astype(np.float32), (0, 0), 0.8)
    cover = np.clip(spots * person.marks.freckles * 1.3, 0, 0.75)[..., None]
    skin *= 1 - cover * np.array([0.55, 0.75, 0.85])
    return skin


def _wrinkle(skin: np.ndarray, head: Head, atlas: Atlas, person: Person) -> np.ndarray:
    """Across the forehead, from the nose to the mouth, and beside the eyes."""
    aside, z, eye_z = atlas.aside, atlas.z, float(head.eye_centre[2])
    forehead = sum(
        np.exp(-(((z - height - 0.003 * np.cos(atlas.x * 60)) / 0.0011) ** 2))
        * np.exp(-((aside / 0.04) ** 4))
        for height in FOREHEAD_WRINKLES_Z
    )
    fold_aside = MOUTH_CORNER_FOLD[0] + 0.75 * np.clip(MOUTH_CORNER_FOLD[1] - z, 0, 0.04)
    folds = np.exp(-(((aside - fold_aside) / 0.0017) ** 2))
    folds = folds * smoothstep(0.872, 0.865, z) * smoothstep(0.825, 0.835, z)
    crows_feet = (
        np.exp(-(((aside - CROWS_FEET_ASIDE) / 0.006) ** 2))
        * np.clip(np.cos((z - eye_z) * 900), 0, 1) ** 3
        * np.exp(-(((z - eye_z) / 0.012) ** 2))
    )
    lines = 0.30 * person.marks.wrinkles * (forehead + 1.3 * folds + crows_feet)
    skin *= (1 - np.clip(lines, 0, 0.45) * atlas.front)[..., None]
    return skin


def _grow_beard(skin: np.ndarray, atlas: Atlas, person: Person) -> np.ndarray:
    """Stubble, a full beard, a goatee or a moustache."""
    beard = person.marks.beard
    aside, y, z, lips = atlas.aside, atlas.y, atlas.z, atlas.lips
    moustache = np.exp(-(((z - MOUSTACHE_Z) / 0.0055) ** 4))
    moustache = moustache * smoothstep(0.034, 0.028, aside) * atlas.front
    chin = smoothstep(0.763, 0.785, z + 0.25 * np.clip(y + 0.10, 0, 0.1))
    if beard == MOUSTACHE:
        area = moustache
    elif beard == GOATEE:
        patch = np.exp(-((aside / 0.020) ** 4)) * smoothstep(0.822, 0.814, z)
        area = np.maximum(moustache, patch * chin * atlas.front * (1 - lips))
    else:
        edge = BEARD_CHEEK_Z + np.clip(aside - 0.03, 0, 0.1) * 0.55
        jaw = smoothstep(0.0, 0.012, edge - z) * chin * smoothstep(-0.03, -0.05, y)
        area = np.maximum(jaw, moustache) * (1 - np.clip(lips * 1.5, 0, 1))
    density = beard if beard < FULL_BEARD else 0.9
    colour = np.minimum(person.hair.colour * 0.8, person.skin * 0.75)
    if person.hair.style == "bald":
        colour = person.hair.brow_colour
    grain = 1 + 0.10 * _rolled(atlas.freckle_noise, person)
    return _over(skin, to_linear(colour), np.clip(area * density * grain, 0, 0.95))


def _draw_brows(skin: np.ndarray, head: Head, atlas: Atlas, person: Person) -> np.ndarray:
    brows, aside = person.marks.brows, atlas.aside
    along = np.clip((aside - brows.inner) / (brows.outer - brows.inner), 0, 1)
    middle = float(head.eye_centre[2]) + brows.rise + brows.arch * np.sin(np.pi * along) * 1.4
    middle = middle - brows.tilt * (along - 0.5) - 0.004 * np.clip(along - 0.6, 0, 1)
    thickness = brows.thickness * (1 - 0.62 * along**2.2)
    thickness = thickness * (0.75 + 0.25 * np.clip(along * 4, 0, 1))
    cover = smoothstep(1.25, 0.65, np.abs(atlas.z - middle) / thickness)
    cover = cover * smoothstep(-0.0025, 0.0015, aside - brows.inner)
    cover = cover * smoothstep(0.003, -0.001, aside - brows.outer) * atlas.front
    cover = cover * (0.85 + 0.18 * _rolled(atlas.hair_noise, person)) * brows.density
    return _over(skin, to_linear(person.hair.brow_colour), np.clip(cover, 0, 0.97))


def _shade_scalp(skin: np.ndarray, atlas: Atlas, person: Person) -> np.ndarray:
    """Roots of shaven hair."""
    height = above_hairline(atlas.z, atlas.degrees, person.hair.line)
    density = 0.55 if person.hair.style == "buzz" else 0.10
    cover = smoothstep(-0.002, 0.006, height) * density * (1 - atlas.ears)
    colour = np.minimum(person.hair.colour, person.skin * 0.7)
    return _over(skin, to_linear(colour), cover)


def paint_eye(person: Person) -> np.ndarray:
    """An eyeball seen from in front: (96, 96, 3)."""
    row, column = np.mgrid[0:EYE_SIZE, 0:EYE_SIZE]
    x, y = (column + 0.5) / EYE_SIZE * 2 - 1, (row + 0.5) / EYE_SIZE * 2 - 1
    radius, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
    eye = np.empty((EYE_SIZE, EYE_SIZE, 3), np.float32)
    eye[:] = to_linear((246, 243, 240))
    eye *= (1 - 0.18 * smoothstep(0.5, 1, radius))[..., None]

    rays = 1 + 0.2 * np.sin(angle * 23) * np.sin(angle * 7 + 1)
    brightness = rays * (1.25 - 0.5 * smoothstep(0.2, IRIS, radius))
    iris = to_linear(person.eyes) * brightness[..., None]
    iris = iris * (1 - 0.7 * smoothstep(IRIS - 0.12, IRIS, radius))[..., None]
    for colour, cover in (
        (iris, smoothstep(IRIS + 0.03, IRIS - 0.03, radius)),
        (0.004, smoothstep(*PUPIL, radius)),
        (1.0, smoothstep(0.11, 0.05, np.hypot(x - CATCHLIGHT[0], y - CATCHLIGHT[1]))),
    ):
        eye = eye * (1 - cover[..., None]) + colour * cover[..., None]
    return np.ascontiguousarray(eye, dtype=np.float32)
