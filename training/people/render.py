"""A person with an expression, glasses, a hat or other hair, in a scene: one picture."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from training.people import colours, materials
from training.people.accessories import build_glasses, build_hat
from training.people.atlas import HEIGHT, build_atlas
from training.people.colours import GAMMA, to_linear
from training.people.expressions import pose_face
from training.people.fields import smoothstep
from training.people.hair import HairModel, build_hair
from training.people.head import Head
from training.people.meshes import Part
from training.people.person import Neckline, Person
from training.people.rasteriser import Paint, Surface, rasterise, shade, vertex_normals
from training.people.scene import CANVAS, SIZE, Scene
from training.people.texture import paint_eye, paint_skin

# sRGB levels of the materials that are the same for everybody.
FIXED_COLOURS = {
    materials.TEETH: (244, 240, 230),
    materials.MOUTH: (120, 45, 45),
    materials.LASHES: (25, 18, 16),
    materials.HAT: (205, 22, 28),
    materials.GLASSES: (18, 18, 22),
}
GLOSS = {
    materials.SKIN: 0.05,
    materials.TORSO: 0.03,
    materials.EYE: 0.25,
    materials.TEETH: 0.10,
    materials.MOUTH: 0.05,
    materials.HAIR_CAP: 0.03,
    materials.HAT: 0.02,
    materials.GLASSES: 0.25,
    materials.HAIR_SHEET: 0.03,
}
NO_SHIRT = -1.0
COLLAR_LIMIT = 0.80  # metres; no shirt above


@dataclass(frozen=True)
class Look:
    """What is changed about a person. `hair` is one of `colours.HAIR`."""

    expression: str = "neutral"
    glasses: bool = False
    hat: bool = False
    hair: str | None = None


class Sitter:
    """A person and what is computed once for all pictures of them: textures and meshes."""

    def __init__(self, head: Head, person: Person):
        self.head, self.person = head, person
        self._atlas = build_atlas(head)
        self._hair: dict[tuple[str, bool], HairModel] = {}

    @functools.cached_property
    def skin(self) -> np.ndarray:
        return paint_skin(self.head, self._atlas, self.person)

    @functools.cached_property
    def eye(self) -> np.ndarray:
        return paint_eye(self.person)

    @functools.cached_property
    def strands(self) -> np.ndarray:
        noise = np.roll(self._atlas.strand_noise, self.person.hair.seed % HEIGHT, 0)
        strands = np.clip(1 + 0.11 * noise, 0.4, 1.7)
        return np.ascontiguousarray(strands[..., None], dtype=np.float32)

    @functools.cached_property
    def shirt(self) -> np.ndarray:
        return below_neckline(self.head, self.person.neckline)

    @functools.cached_property
    def hat(self) -> Part:
        return build_hat(self.head, self.person)

    @functools.cached_property
    def glasses(self) -> list[Part]:
        return build_glasses(self.head, self.person)

    def hair(self, look: Look) -> HairModel:
        style = self.person.hair.style
        if style == "bald" and look.hair is not None:
            style = "short"
        key = (style, look.hat)
        if key not in self._hair:
            self._hair[key] = build_hair(
                self.head, self._atlas, self.person, style, under_hat=look.hat
            )
        return self._hair[key]


def below_neckline(head: Head, neckline: Neckline) -> np.ndarray:
    """Metres (V,) float32 by which a vertex lies below the shirt's edge."""
    x, y, z = head.mean.T
    below = (neckline.height + neckline.slope * y) - z
    opening = np.clip(1 - np.abs(x) / 0.055, 0, 1) * smoothstep(-0.04, -0.09, y)
    below = below - neckline.cut * opening * 1.6
    return np.where(z > COLLAR_LIMIT, NO_SHIRT, below).astype(np.float32)


def render(sitter: Sitter, scene: Scene, look: Look) -> np.ndarray:
    """The picture, (160, 160, 3) uint8."""
    hair = sitter.hair(look)
    parts = list(hair.parts)
    if look.hat:
        parts.append(sitter.hat)
    if look.glasses:
        parts += sitter.glasses
    points, surface = _assemble(sitter, scene, look, parts)
    _, triangle, weights = rasterise(
        points, surface.faces, surface.materials, surface.uv, hair.mask, CANVAS
    )
    colour_table = _colour_table(sitter.person, look)
    paint = Paint(sitter.skin, sitter.eye, sitter.strands, colour_table, _gloss())
    picture = shade(triangle, weights, surface, paint, scene.light, scene.background)
    picture = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return (np.clip(picture, 0, 1) ** (1 / GAMMA) * 255 + 0.5).astype(np.uint8)


def _assemble(
    sitter: Sitter, scene: Scene, look: Look, parts: list[Part]
) -> tuple[np.ndarray, Surface]:
    """Points on the canvas (V, 3), and the head and all parts as one surface."""
    head, person = sitter.head, sitter.person
    face = pose_face(head, person.vertices, look.expression)
    vertices = np.concatenate([face] + [part.vertices for part in parts])
    twist = np.concatenate([head.twist] + [part.twist for part in parts])
    starts = np.cumsum([len(face)] + [len(part.vertices) for part in parts])[: len(parts)]
    moved = [part.faces + start for part, start in zip(parts, starts, strict=True)]
    faces = np.concatenate([head.faces, *moved]).astype(np.int32)
    material = [head.materials] + [
        np.full(len(part.faces), part.material, np.int32) for part in parts
    ]
    shirt = np.full(len(vertices), NO_SHIRT, np.float32)
    shirt[: len(face)] = sitter.shirt
    camera_space = scene.camera.to_camera_space(head, person, vertices, twist)
    head_height = person.vertices[head.top, 2] - person.vertices[head.chin, 2]
    surface = Surface(
        faces=faces,
        materials=np.concatenate(material),
        uv=np.concatenate([head.uv] + [part.uv for part in parts]),
        normals=vertex_normals(camera_space, faces),
        occlusion=np.concatenate([head.occlusion] + [part.occlusion for part in parts]),
        shirt=shirt,
    )
    return scene.camera.project(camera_space, head_height), surface


def _colour_table(person: Person, look: Look) -> np.ndarray:
    """Linear colour (materials, 3) of each material."""
    hair = person.hair.colour if look.hair is None else colours.HAIR[look.hair]
    table = np.zeros((materials.COUNT, 3), np.float32)
    for material, levels in FIXED_COLOURS.items():
        table[material] = to_linear(levels)
    table[materials.TORSO] = to_linear(person.skin)
    table[materials.SHIRT] = to_linear(person.shirt)
    table[materials.HAIR_CAP] = to_linear(hair)
    table[materials.HAIR_SHEET] = to_linear(hair) * 0.95
    return table


@functools.cache
def _gloss() -> np.ndarray:
    return np.array([GLOSS.get(m, 0.0) for m in range(materials.COUNT)], np.float32)
