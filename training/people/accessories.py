"""A hat and glasses, fitted to a person's head. Lengths are in metres."""

from __future__ import annotations

import numpy as np

from training.people.head import Head
from training.people.materials import GLASSES, HAT
from training.people.meshes import Part, grid, tube, untextured
from training.people.person import Person

HAT_EDGE = 0.44  # of the way from the eyes to the top of the head
HAT_ROOM = 0.012  # between head and hat
HAT_ABOVE = 0.020
HAT_TILT = 0.10  # metres higher per metre forward, so that the face stays visible
CROWN_ROWS, HAT_COLUMNS = 10, 40
# From the crown outwards, round the edge, and back below: factor on the radius, height, openness.
BRIM_RADIUS = np.array([1.0, 1.18, 1.34, 1.33, 1.0])
BRIM_HEIGHT = np.array([0.004, 0.0, -0.006, -0.010, -0.004])
BRIM_OCCLUSION = (0.7, 0.95, 0.95, 0.5, 0.35)

RIM_POINTS, RIM_RADIUS = 32, 0.0037
TEMPLE_POINTS, BRIDGE_POINTS, WIRE_RADIUS = 8, 7, 0.0026
FRAME_DISTANCE = 0.003  # in front of brows and nose
SMALLEST_BRIDGE = 0.012  # between the two rims


def build_hat(head: Head, person: Person) -> Part:
    """A round hat with a brim."""
    vertices, scalp = person.vertices, person.vertices[head.scalp]
    top = vertices[head.top, 2]
    eyes = (vertices[head.left_eye, 2].mean() + vertices[head.right_eye, 2].mean()) / 2
    edge = eyes + HAT_EDGE * (top - eyes)
    near = np.abs(scalp[:, 2] - edge) < 0.012
    ring = scalp[near] if near.any() else scalp
    half_width = np.abs(ring[:, 0]).max() + HAT_ROOM
    front, back = ring[:, 1].min() - HAT_ROOM, ring[:, 1].max() + HAT_ROOM
    middle, half_depth = (front + back) / 2, (back - front) / 2
    polar = np.linspace(0, np.pi / 2, CROWN_ROWS)[:, None]
    around = np.linspace(0, 2 * np.pi, HAT_COLUMNS + 1)[:-1]
    bulge = np.sin(polar) ** 0.75
    crown = [
        half_width * bulge * np.cos(around),
        middle - half_depth * bulge * np.sin(around),
        edge + (top - edge + HAT_ABOVE) * np.cos(polar) ** 0.9 * np.ones(HAT_COLUMNS),
    ]
    wide = BRIM_RADIUS[:, None]
    brim = [
        half_width * wide * np.cos(around),
        middle - half_depth * wide * np.sin(around),
        edge + BRIM_HEIGHT[:, None] + 0.018 * (wide - 1) * np.abs(np.cos(around)),
    ]
    crown_vertices, crown_faces = grid(np.stack(crown, -1), closed=True)
    brim_vertices, brim_faces = grid(np.stack(brim, -1), closed=True)
    points = np.r_[crown_vertices, brim_vertices]
    points[:, 2] -= (points[:, 1] - middle) * HAT_TILT
    faces = np.r_[crown_faces, brim_faces + len(crown_vertices)].astype(np.int32)
    occlusion = np.r_[np.linspace(1, 0.62, CROWN_ROWS), BRIM_OCCLUSION].repeat(HAT_COLUMNS)
    return untextured(points, faces, HAT, occlusion)


def build_glasses(head: Head, person: Person) -> list[Part]:
    """Two rims, two temples and a bridge."""
    vertices, frame = person.vertices, person.frame
    left, right = vertices[head.left_eye].mean(0), vertices[head.right_eye].mean(0)
    face = min(vertices[head.brows, 1].min(), vertices[head.nose_bridge, 1].min())
    front = face - FRAME_DISTANCE
    half_width = min(frame.half_width, abs(left[0] - right[0]) / 2 - SMALLEST_BRIDGE / 2)
    tubes, inner_ends = [], []
    for eye, side in ((left, 1), (right, -1)):
        middle = eye[0] + 0.003 * side
        tubes.append(_rim(eye, middle, half_width, front, person))
        inner_ends.append((middle - side * half_width, eye[2] + 0.003))
        tubes.append(_temple(head, person, eye, middle + side * half_width, side, front))
    tubes.append(_bridge(*inner_ends, front))
    return [untextured(points, faces, GLASSES) for points, faces in tubes]


def _rim(
    eye: np.ndarray, middle: float, half_width: float, front: float, person: Person
) -> tuple[np.ndarray, np.ndarray]:
    angle = np.linspace(0, 2 * np.pi, RIM_POINTS + 1)[:-1]
    power = 2 / person.frame.exponent
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    up = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    x = middle + half_width * across
    y = front + 3.2 * np.clip(np.abs(x) - 0.03, 0, 1) ** 2  # bent round the face
    z = eye[2] - 0.002 + person.frame.half_height * up
    return tube(np.c_[x, y, z], RIM_RADIUS, closed=True)


def _temple(
    head: Head, person: Person, eye: np.ndarray, hinge: float, side: int, front: float
) -> tuple[np.ndarray, np.ndarray]:
    """From the hinge to the top of the ear."""
    ear = person.vertices[head.ears]
    ear = ear[ear[:, 0] * side > 0]
    share = np.linspace(0, 1, TEMPLE_POINTS)[:, None]
    start = np.array([hinge + side * 0.002, front + 0.006, eye[2] + 0.004])
    hook = side * (np.abs(ear[:, 0]).min() + 0.004)
    end = np.array([hook, ear[:, 1].mean(), ear[:, 2].max() - 0.006])
    path = start * (1 - share) + end * share
    path[:, 0] += side * 0.004 * np.sin(share[:, 0] * np.pi)
    return tube(path, WIRE_RADIUS)


def _bridge(
    left: tuple[float, float], right: tuple[float, float], front: float
) -> tuple[np.ndarray, np.ndarray]:
    """Between the rims' inner ends, each (x, z)."""
    share = np.linspace(0, 1, BRIDGE_POINTS)
    x = left[0] + (right[0] - left[0]) * share
    z = (left[1] + right[1]) / 2 + 0.004 * np.sin(share * np.pi)
    return tube(np.c_[x, np.full(BRIDGE_POINTS, front - 0.0005), z], WIRE_RADIUS)
