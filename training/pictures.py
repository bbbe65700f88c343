"""Pictures without rendered people: crops of free photographs, and procedural patterns.

The photographs ship with scikit-image and scikit-learn. The two portraits that the package is
shown on, astronaut and Grace Hopper, are held out: nothing is ever trained on them.
"""

from __future__ import annotations

import functools
import sysconfig
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOGRAPHS = (
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "skimage/data/rocket.jpg",
    "skimage/data/motorcycle_left.png",
    "skimage/data/ihc.png",
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/retina.jpg",
    "skimage/data/color.png",
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
)
LARGEST = 1024  # pixels; larger photographs are reduced once


@functools.cache
def photographs() -> tuple[Image.Image, ...]:
    """Every photograph that is installed (some versions of scikit-image lack a few)."""
    folder = Path(sysconfig.get_paths()["purelib"])
    found = []
    for name in PHOTOGRAPHS:
        if not (folder / name).exists():
            continue
        picture = Image.open(folder / name).convert("RGB")
        scale = LARGEST / max(picture.size)
        if scale < 1:
            size = (round(picture.width * scale), round(picture.height * scale))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        found.append(picture)
    return tuple(found)


def photo(rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """A random square crop, mirrored and recoloured at random: (size, size, 3) in [0, 1]."""
    picture = photographs()[rng.integers(len(photographs()))]
    side = min(picture.size)
    crop = int(rng.uniform(min(side, size * 0.8), side))
    left = rng.integers(picture.width - crop + 1)
    top = rng.integers(picture.height - crop + 1)
    picture = picture.crop((left, top, left + crop, top + crop))
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS), np.float32) / 255
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.6:
        pixels = pixels[..., rng.permutation(3)]
    if rng.random() < 0.6:
        contrast, shift = rng.uniform(0.6, 1.4), rng.uniform(-0.15, 0.15, 3)
        pixels = np.clip((pixels - 0.5) * contrast + 0.5 + shift, 0, 1)
    return np.ascontiguousarray(pixels).astype(np.float32)


def procedural(rng: np.random.Generator, size: int = 128) -> np.ndarray:
    """Coloured noise, a gradient, stripes, or discs and boxes: (size, size, 3) in [0, 1]."""
    kind = rng.integers(4)
    y, x = np.mgrid[:size, :size] / size
    if kind == 0:
        pixels = _coloured_noise(rng, size)
    elif kind == 1:
        pixels = rng.random(3) * x[..., None] + rng.random(3) * y[..., None] + rng.random(3) * 0.3
    elif kind == 2:
        frequency, angle = rng.uniform(2, 20), rng.uniform(0, np.pi)
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)))
        pixels = rng.random(3) + rng.random(3) * wave[..., None]
    else:
        pixels = _shapes(rng, x, y)
    return np.clip(pixels, 0, 1).astype(np.float32)


def _coloured_noise(rng: np.random.Generator, size: int) -> np.ndarray:
    cells = int(rng.choice([4, 8, 16, 32, 64, 128]))
    coarse = (rng.random((cells, cells, 3)).astype(np.float32) * 255).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(smooth, np.float32) / 255


def _shapes(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    pixels = np.ones((*x.shape, 3)) * rng.random(3)
    for _ in range(rng.integers(3, 14)):
        colour = rng.random(3)
        centre_x, centre_y, half_width, half_height = rng.random(4)
        half_width, half_height = half_width * 0.25 + 0.03, half_height * 0.25 + 0.03
        if rng.random() < 0.5:
            inside = ((x - centre_x) / half_width) ** 2 + ((y - centre_y) / half_height) ** 2 < 1
        else:
            inside = (abs(x - centre_x) < half_width) & (abs(y - centre_y) < half_height)
        pixels[inside] = colour
    return pixels
