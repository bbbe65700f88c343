"""The picture that the original code saw, from the one that a parity file stores.

The stored picture is not quite the one that went in: read plainly, the proportion is off by 1e-3.
Its levels say why. The pixels were `k / 127.5` (k whole, -128 to 128) and were stored as
`((pixels + 1) * 127.5).round()` in uint8. That puts every pixel on a half, so that rounding to even
merges pairs of levels between 64 and 192, and both ends wrap around (-1 to 255, 256 to 0). Which
of two levels a pixel had can still be told, because the pictures are grids of a few random cells
upsampled bicubically: the grid that agrees with every stored level is found, and it decides. About
one pixel in ten thousand stays open, whence the small remaining differences.
A file that stores its picture without that loss is read as it is.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor
from torch.nn import functional

Array = NDArray[np.float64]
GRIDS = range(3, 41)
_WHOLE = np.arange(-128, 129)
_STORED = ((torch.tensor(_WHOLE, dtype=torch.float32) / 127.5 + 1) * 127.5).round().numpy()


def read_pixels(stored: Tensor) -> Tensor:
    """Pixels in [-1, 1] (the outermost a little beyond), float32, from a stored uint8 picture."""
    if not _is_merged(stored):
        return stored.float() / 127.5 - 1
    channels = [_whole_numbers(channel.double().numpy()) for channel in stored[0]]
    return torch.from_numpy(np.stack(channels)[None] / 127.5).float()


def _is_merged(stored: Tensor) -> bool:
    odd = (stored % 2 == 1) & (stored > 64) & (stored < 191)
    return not bool(odd.any())


def _whole_numbers(stored: Array) -> Array:
    """The whole number k of each pixel of one channel."""
    levels = _unwrap(stored)
    low, high = _bounds(levels)
    middle = np.clip(levels, 0, 255) - 127.5
    basis = min((_bicubic(n, *levels.shape) for n in GRIDS), key=lambda b: _misfit(b, middle))
    smooth = _agree(basis, middle, low, high)
    return np.clip(np.round(np.clip(smooth, low, high)), -128, 128)


def _unwrap(stored: Array) -> Array:
    """Undo the wrapping at the ends: neighbouring pixels differ by less than half the range."""
    smooth = np.unwrap(np.unwrap(stored, axis=1, period=256), axis=0, period=256)
    shifts = [smooth + 256 * turn for turn in range(-2, 3)]
    return min(shifts, key=lambda s: int(((s < _STORED[0]) | (s > _STORED[-1])).sum()))


def _bounds(levels: Array) -> tuple[Array, Array]:
    """Between which values the unrounded k of each pixel lies; the ends are open."""
    low = np.full(258, np.inf)
    high = np.full(258, -np.inf)
    for whole, level in zip(_WHOLE, _STORED.astype(int) + 1, strict=True):
        low[level] = min(low[level], whole - 0.5)
        high[level] = max(high[level], whole + 0.5)
    low[0], high[257] = -1e4, 1e4
    index = levels.astype(int) + 1
    return low[index], high[index]


def _bicubic(cells: int, height: int, width: int) -> tuple[Array, Array]:
    """Matrices that upsample a grid of `cells` x `cells` along rows and along columns."""
    units = torch.eye(cells, dtype=torch.float64)[None, None]
    rows, columns = (
        functional.interpolate(units, (size, cells), mode="bicubic")[0, 0].numpy()
        for size in (height, width)
    )
    return rows, columns


def _project(basis: tuple[Array, Array], picture: Array) -> Array:
    rows, columns = basis
    grid = np.linalg.pinv(rows) @ picture @ np.linalg.pinv(columns).T
    projected: Array = rows @ grid @ columns.T
    return projected


def _misfit(basis: tuple[Array, Array], picture: Array) -> float:
    inside = np.abs(picture) < 126
    guess = picture
    for _ in range(30):
        smooth = _project(basis, guess)
        guess = np.where(inside, picture, smooth)
    return float(np.square(smooth - picture)[inside].mean())


def _agree(basis: tuple[Array, Array], start: Array, low: Array, high: Array) -> Array:
    """The upsampled grid that keeps furthest inside all bounds, by cutting planes."""
    rows, columns = basis
    smooth = start
    for _ in range(300):
        smooth = _project(basis, np.clip(smooth, low, high))
    for _ in range(20):
        near = np.nonzero(np.minimum(smooth - low, high - smooth) < 0.02)
        if near[0].size > 40_000:
            keep = np.linspace(0, near[0].size - 1, 40_000).astype(int)
            near = (near[0][keep], near[1][keep])
        weights = np.einsum("pi,pj->pij", rows[near[0]], columns[near[1]]).reshape(len(near[0]), -1)
        margin = np.ones((len(weights), 1))
        solved = linprog(
            np.append(np.zeros(weights.shape[1]), -1.0),
            A_ub=np.vstack([np.hstack([weights, margin]), np.hstack([-weights, margin])]),
            b_ub=np.concatenate([high[near], -low[near]]),
            bounds=[(-256, 256)] * weights.shape[1] + [(-1, 1)],
        )
        smooth = rows @ solved.x[:-1].reshape(rows.shape[1], -1) @ columns.T
        if (smooth >= low - 1e-6).all() and (smooth <= high + 1e-6).all():
            break
    return smooth
