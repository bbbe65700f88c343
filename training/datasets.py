"""What the trainings learn from: rendered people and pools of photographs, in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.pictures import photo

MIDDLE = slice(16, 144)
"""Rows and columns of a render's middle 128 pixels, the size that the editor works at."""


def load_people(folder: Path) -> dict[str, np.ndarray]:
    """All rendered people of a folder of `.npz` shards, in the order of their seeds.

    Returns `pictures` (people, 10, 160, 160, 3) uint8, `walls` (people, 10) the number of the
    wall's colour or -1, `blond` (people,) whether the person is blond from birth, and `seeds`
    (people,).
    """
    shards = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    if not shards:
        raise FileNotFoundError(f"no .npz shards in {folder}; run training.people.generate first")
    order = np.argsort(np.concatenate([shard["seeds"] for shard in shards]))
    names = {"pictures": "imgs", "walls": "bg", "blond": "blond", "seeds": "seeds"}
    return {new: np.concatenate([s[old] for s in shards])[order] for new, old in names.items()}


def photo_pool(count: int, size: int, *, seed: int) -> np.ndarray:
    """Random crops of the free photographs: (count, size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    return np.stack([(photo(rng, size) * 255).round().astype(np.uint8) for _ in range(count)])
