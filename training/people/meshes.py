"""Parts added to a head, and the two ways to build them: grids and tubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh of one material on the head, n vertices and m triangles."""

    vertices: np.ndarray  # (n, 3) float32, metres
    faces: np.ndarray  # (m, 3) int32
    uv: np.ndarray  # (m, 3, 2) float32
    material: int
    occlusion: np.ndarray  # (n,) float32
    twist: np.ndarray  # (n,) float32, see Head.twist


def untextured(
    vertices: np.ndarray, faces: np.ndarray, material: int, occlusion: np.ndarray | float = 1.0
) -> Part:
    """A part of one colour that turns with the head."""
    count = len(vertices)
    return Part(
        vertices.astype(np.float32),
        faces,
        np.zeros((len(faces), 3, 2), np.float32),
        material,
        np.broadcast_to(np.asarray(occlusion, np.float32), (count,)),
        np.ones(count, np.float32),
    )


def grid(points: np.ndarray, *, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a sheet of points (rows, columns, 3).

    `closed` joins the last column to the first.
    """
    rows, columns = points.shape[:2]
    faces = []
    for row in range(rows - 1):
        for column in range(columns if closed else columns - 1):
            right = (column + 1) % columns
            here, below = row * columns, (row + 1) * columns
            faces += [
                (here + column, here + right, below + right),
                (here + column, below + right, below + column),
            ]
    return points.reshape(-1, 3).astype(np.float32), np.array(faces, np.int32)


def grid_uv(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Texture coordinates (rows * columns, 2) of a grid's vertices."""
    columns, rows = np.meshgrid(u, v)
    return np.c_[columns.ravel(), rows.ravel()].astype(np.float32)


def tube(
    path: np.ndarray, radius: float, *, closed: bool = False, sides: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a tube along a path (n, 3); `closed` makes it a ring."""
    path = np.asarray(path, np.float32)
    ring = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    tangent = ring if closed else np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1)[:, None] + 1e-9
    runs_sideways = np.abs(tangent[:, 1]).max() < 0.9
    up = np.array([0, -1.0, 0]) if runs_sideways else np.array([0, 0, 1.0])
    across = np.cross(tangent, up)
    across /= np.linalg.norm(across, axis=1)[:, None] + 1e-9
    other = np.cross(tangent, across)
    angle = (np.arange(sides) / sides * 2 * np.pi)[None, :, None]
    rings = path[:, None] + radius * (
        np.cos(angle) * across[:, None] + np.sin(angle) * other[:, None]
    )
    return rings.reshape(-1, 3).astype(np.float32), _tube_faces(len(path), sides, closed)


def _tube_faces(rings: int, sides: int, closed: bool) -> np.ndarray:
    faces = []
    for ring in range(rings if closed else rings - 1):
        here, after = ring * sides, (ring + 1) % rings * sides
        for side in range(sides):
            beside = (side + 1) % sides
            faces += [
                (here + side, after + side, after + beside),
                (here + side, after + beside, here + beside),
            ]
    return np.array(faces, np.int32)
