"""A change of the sRGB levels that editors see, carried to what a file itself holds.

Used by `saving`. Files of 16 bits, of other colours than sRGB and of CMYK keep their own values;
only the change is added, and what comes back from them is compared with what was wanted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decontext.photo.depth import to_eight
from decontext.photo.profiles import Levels, Space, find_space

_ROUNDS = 3
"""How often what is missing after rounding is added again."""


@dataclass(frozen=True, eq=False)
class Own:
    """What a file holds, where that is not the 8-bit sRGB levels of `Photo.pixels`.

    Attributes:
        values: `(channels, height, width)` uint8 or uint16, upright: grey, RGB or CMYK.
        icc: the profile that describes them; None: sRGB, or CMYK as it is commonly mixed.
        opacity: `(height, width)` uint16 where the file's opacity has 16 bits.
    """

    values: NDArray[np.uint8] | NDArray[np.uint16]
    icc: bytes | None
    opacity: NDArray[np.uint16] | None = None

    @property
    def is_deep(self) -> bool:
        """Whether they have 16 bits."""
        return self.values.dtype == np.uint16

    @property
    def channels(self) -> int:
        """1 of grey, 3 of RGB, 4 of CMYK."""
        return len(self.values)

    @property
    def space(self) -> Space | None:
        """Their colours; None where these are sRGB."""
        return find_space(self.icc, self.channels)


def carry(
    values: NDArray[np.uint8] | NDArray[np.uint16],
    before: Levels,
    after: Levels,
    *,
    space: Space | None,
    limit: int,
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """File's values whose sRGB levels are `after`, or as near as they come.

    Args:
        values: what the file held, `(height, width, channels)`.
        before: its sRGB levels `(height, width, 3)`.
        after: those wanted.
        space: of the file's colours; None where they are sRGB.
        limit: no sRGB level moves further than this, see `levels`. A pixel that would, keeps its
            values.

    16-bit values move by whole 8-bit levels, 257 each, so that their rounded levels are exact.
    """
    eight = to_eight(values)
    moved: Levels
    if space is None:
        moved = after[..., : values.shape[2]]
    else:
        moved = _approach(eight, before, after, space=space, limit=limit)
    if values.dtype == np.uint8:
        return moved
    change = moved.astype(np.int32)
    change -= eight
    change *= 257
    change += values
    return np.clip(change, 0, 65535).astype(np.uint16)


def _approach(values: Levels, before: Levels, after: Levels, *, space: Space, limit: int) -> Levels:
    """8-bit values in another space; each pixel keeps the best that was found for it."""
    rows = np.flatnonzero((before != after).any(axis=2))
    if not len(rows):
        return values
    flat = values.reshape(1, -1, values.shape[2])[:, rows]
    old, wanted = (levels.reshape(1, -1, 3)[:, rows] for levels in (before, after))
    best, aim = flat.copy(), wanted.astype(np.int16)
    error = _distance(old, wanted)
    for _ in range(_ROUNDS):
        candidate = space.move(flat, old, np.clip(aim, 0, 255).astype(np.uint8))
        seen = space.to_srgb(candidate)
        missing = _distance(seen, wanted)
        within = np.abs(seen.astype(np.int16) - old).max(axis=2) <= limit
        better = within & (missing < error)
        best[better], error[better] = candidate[better], missing[better]
        aim += wanted
        aim -= seen
    result = values.copy()
    result.reshape(-1, values.shape[2])[rows] = best[0]
    return result


def _distance(some: Levels, others: Levels) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.abs(some.astype(np.int16) - others).sum(axis=2, dtype=np.int64)
    return total
