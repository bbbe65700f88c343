"""Ambient occlusion: how open to the sky each vertex of the average head is."""

from __future__ import annotations

import numpy as np

from training.people import materials
from training.people.rasteriser import rasterise, vertex_normals

DIRECTIONS = 64
CANVAS = 220  # pixels
BIAS = 0.006  # metres behind the nearest surface still count as seen


def measure_openness(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Share of the directions from which each vertex is seen, weighted by its slant."""
    normals = vertex_normals(vertices, faces)
    directions = np.random.RandomState(1).randn(DIRECTIONS, 3)
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    seen, possible = np.zeros(len(vertices)), np.zeros(len(vertices))
    for towards in directions:
        weight = np.clip(normals @ towards, 0, None)
        seen += _visible_from(vertices, faces, towards) * weight
        possible += weight
    share = np.clip(seen / np.maximum(possible, 1e-6), 0, 1)
    return np.clip(0.25 + 0.85 * share, 0, 1).astype(np.float32)


def _visible_from(vertices: np.ndarray, faces: np.ndarray, towards: np.ndarray) -> np.ndarray:
    right = np.cross(towards, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(towards, right)
    points = np.c_[vertices @ right, vertices @ down, -(vertices @ towards)]
    low = points.min(0)
    scale = (CANVAS - 4) / (points.max(0) - low)[:2].max()
    points[:, :2] = (points[:, :2] - low[:2]) * scale + 2
    points = points.astype(np.float32)
    two_sided = np.full(len(faces), materials.LASHES, np.int32)
    no_texture, no_holes = np.zeros((len(faces), 3, 2), np.float32), np.ones((2, 2), np.float32)
    depth, _, _ = rasterise(points, faces, two_sided, no_texture, no_holes, CANVAS)
    columns, rows = points[:, 0].astype(int), points[:, 1].astype(int)
    return points[:, 2] < depth[rows, columns] + BIAS
