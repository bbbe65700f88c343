"""Camera, light and background of a picture.

The picture is rendered on a canvas 2.5 times as large and reduced. Camera space is x to the right,
y down, z away from the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import RandomState
from PIL import Image

from training.people.colours import WALLS, to_linear
from training.people.head import Head
from training.people.person import Person
from training.people.rasteriser import Light
from training.pictures import photographs

SIZE = 160  # pixels of a finished picture
CANVAS = 400  # pixels

VIEWER_DISTANCE = 1.3  # metres
FRAMED = 0.8  # of the canvas; the rest is margin for crops
HEAD_SHARE = 0.635  # of what is framed, for a head of average height
AVERAGE_HEAD = 0.232  # metres from the chin to the top
SIZE_DAMPING = 0.75  # 1 would make all heads equally large in the picture
HEAD_MIDDLE = 0.488  # of the canvas, from its top
# A turn moves the face fully, the shoulders by these shares.
SHOULDER_YAW, SHOULDER_PITCH = 0.35, 0.15
YAW_FOLLOW = 0.7  # how far the camera follows a turned head sideways


@dataclass(frozen=True)
class Camera:
    """`view` is yaw and pitch in degrees, `shift` a share of the framed picture to x and y."""

    view: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def to_camera_space(
        self, head: Head, person: Person, vertices: np.ndarray, twist: np.ndarray
    ) -> np.ndarray:
        """Turn the head on its neck, metres (V, 3) float32; the face's middle is the origin."""
        top, chin = person.vertices[head.top, 2], person.vertices[head.chin, 2]
        pivot = np.array([0, -0.01, chin - 0.01])
        yaw, pitch = np.radians(self.view[0]), np.radians(self.view[1])
        turned = _turn(
            vertices - pivot,
            yaw * (SHOULDER_YAW + (1 - SHOULDER_YAW) * twist),
            pitch * (SHOULDER_PITCH + (1 - SHOULDER_PITCH) * twist),
        )
        middle = _turn((np.array([0, -0.03, (top + chin) / 2]) - pivot)[None], yaw, pitch)[0]
        x, y, z = (turned - middle * np.array([YAW_FOLLOW, 1, 1])).T
        return np.stack([x, -z, y], 1).astype(np.float32)

    def project(self, points: np.ndarray, head_height: float) -> np.ndarray:
        """Canvas x and y in pixels and depth in metres (V, 3) of points in camera space."""
        x, y, z = points.T
        framed_height = AVERAGE_HEAD * (head_height / AVERAGE_HEAD) ** SIZE_DAMPING
        pixels_per_metre = HEAD_SHARE * FRAMED * CANVAS / framed_height * self.scale
        nearness = VIEWER_DISTANCE / (VIEWER_DISTANCE + z) * pixels_per_metre
        column = x * nearness + CANVAS * (0.5 + FRAMED * self.shift[0])
        row = y * nearness + CANVAS * (HEAD_MIDDLE + FRAMED * self.shift[1])
        return np.stack([column, row, z], 1).astype(np.float32)


def _turn(points: np.ndarray, yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Points (N, 3) turned about the upright axis, then about the ear-to-ear axis; radians."""
    x, y, z = points.T
    x, y = x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) + y * np.cos(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    return np.stack([x, y, z], 1)


@dataclass(frozen=True, eq=False)
class Scene:
    camera: Camera
    light: Light
    background: np.ndarray  # (400, 400, 3) float32, linear


def draw_light(random: RandomState) -> Light:
    """A lamp in front, from any side, a little warm or cold."""
    azimuth, elevation = random.uniform(-1.0, 1.0), random.uniform(-0.1, 0.8)  # radians
    direction = (
        np.sin(azimuth),
        -np.sin(elevation),
        -np.cos(azimuth) * np.cos(elevation),
    )
    warmth = random.uniform(-0.06, 0.06)
    ambient = random.uniform(0.34, 0.50)
    red, blue = random.uniform(0.62, 0.82), random.uniform(0.66, 0.76)
    unit = np.array(direction, np.float32)
    unit /= np.linalg.norm(unit)
    colour = np.array((red * (1 + warmth), 0.72, blue * (1 - warmth)), np.float32)
    return Light(unit, colour, np.float32(ambient))


def gradient(start: np.ndarray, end: np.ndarray, angle: float) -> np.ndarray:
    """A wall shading from one colour to another in a direction in radians."""
    row, column = np.mgrid[0:CANVAS, 0:CANVAS] / (CANVAS - 1.0) - 0.5
    along = (column * np.cos(angle) + row * np.sin(angle)) * 0.9
    share = np.clip(0.5 + along, 0, 1)[..., None]
    return (to_linear(start) * (1 - share) + to_linear(end) * share).astype(np.float32)


def draw_wall(random: RandomState, number: int) -> np.ndarray:
    """A wall of the colour `WALLS[number]`, shaded a little."""
    colour = np.array(WALLS[number], np.float32)
    start, end = random.uniform(0.88, 1.0), random.uniform(0.80, 1.0)
    angle = random.uniform(0, 6.28)
    return gradient(np.clip(colour * start, 4, 250), np.clip(colour * end, 4, 250), angle)


def draw_photograph(random: RandomState) -> np.ndarray:
    """A blurred crop of one of the free photographs."""
    picture = photographs()[random.randint(len(photographs()))]
    side = min(picture.size)
    crop = int(random.uniform(min(side, 150), side))
    left = random.randint(picture.width - crop + 1)
    top = random.randint(picture.height - crop + 1)
    picture = picture.crop((left, top, left + crop, top + crop))
    picture = picture.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    levels = np.asarray(picture, np.float32)
    if random.rand() < 0.5:
        levels = levels[:, ::-1]
    if random.rand() < 0.5:
        levels = levels[..., random.permutation(3)]
    blur = float(random.uniform(0.5, 8))
    levels = cv2.GaussianBlur(np.ascontiguousarray(levels), (0, 0), blur)
    return to_linear(np.clip(levels * random.uniform(0.6, 1.1), 4, 250))


def draw_scene(random: RandomState) -> Scene:
    """A portrait nearly from in front, before a wall of two colours or a photograph."""
    colour = random.uniform(50, 235) + random.randn(3) * 28
    other = np.clip(colour + random.randn(3) * 18 + random.uniform(-50, 50), 20, 250)
    colour = np.clip(colour, 20, 250)
    view = (random.uniform(-18, 18), random.uniform(-8, 8))
    scale = random.uniform(0.85, 1.12)
    light = draw_light(random)
    if random.rand() < 0.4:
        background = draw_photograph(random)
    else:
        background = gradient(colour, other, random.uniform(0, 6.28))
    shift = (random.uniform(-0.05, 0.05), random.uniform(-0.02, 0.05))
    return Scene(Camera(view, scale, shift), light, background)


def draw_other_scene(random: RandomState, first: Scene, wall: int) -> Scene:
    """The same person elsewhere: another view, another wall, in half the cases another light."""
    turn = (random.uniform(-18, 18), random.uniform(-6, 6))
    yaw, pitch = np.clip(np.add(first.camera.view, turn), (-30, -10), (30, 10))
    scale = float(np.clip(first.camera.scale * random.uniform(0.85, 1.15), 0.8, 1.12))
    shift = (random.uniform(-0.08, 0.08), random.uniform(-0.02, 0.06))
    background = draw_wall(random, wall)
    light = first.light if random.rand() < 0.5 else draw_light(random)
    return Scene(Camera((yaw, pitch), scale, shift), light, background)
