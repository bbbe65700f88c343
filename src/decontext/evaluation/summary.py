"""Many figures in a few: mean, spread, worst case, share above a threshold, and how sure that is.

Edits of one photo are alike, so the interval comes from drawing whole photos, not single edits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
FEW = 5
"""From so many groups on an interval is worth its name."""


@dataclass(frozen=True)
class Summary:
    """What a number of figures says; all None where there were none.

    Attributes:
        count: figures that there are.
        missing: figures that could not be had, such as the identity where no face was found.
        mean, spread: mean and standard deviation.
        low, high: 95 % bootstrap interval of the mean over groups; None with fewer than two groups.
        worst: the largest figure: for a similarity the edit that protects least.
        share: part at or above the threshold, the missing ones counted as below; None without one.
        share_low, share_high: its interval, as above.
        groups: how many groups the interval of the mean is drawn from.
    """

    count: int
    missing: int
    mean: float | None
    spread: float | None
    low: float | None
    high: float | None
    worst: float | None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    groups: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def summarise(
    values: Sequence[float | None],
    groups: Sequence[object],
    *,
    threshold: float | None = None,
    seed: int = 0,
) -> Summary:
    """Summarise figures that belong to groups, such as the identities of edits to their photos.

    Args:
        values: the figures; None and NaN are missing ones.
        groups: for each figure what it belongs to; whole groups are drawn for the intervals.
        threshold: from which figure on a recogniser says "the same person".
        seed: of the bootstrap.

    Source: Efron 1979, the bootstrap; percentile intervals of 2,000 draws.
    """
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values have {len(groups)} groups; both must be as many.")
    if not values:
        return Summary(0, 0, None, None, None, None, None)
    numbers = np.array([math.nan if value is None else value for value in values], float)
    found = ~np.isnan(numbers)
    share = low = high = None
    if threshold is not None:
        above = np.where(found, numbers, -math.inf) >= threshold
        share = float(above.mean())
        low, high = _interval(above.astype(float), groups, seed)
    mean_low, mean_high = _interval(numbers, groups, seed)
    known = numbers[found]
    return Summary(
        count=int(found.sum()),
        missing=int((~found).sum()),
        mean=float(known.mean()) if known.size else None,
        spread=float(known.std()) if known.size else None,
        low=mean_low,
        high=mean_high,
        worst=float(known.max()) if known.size else None,
        share=share,
        share_low=low,
        share_high=high,
        groups=len({group for group, there in zip(groups, found, strict=True) if there}),
    )


def _interval(
    numbers: np.ndarray[Any, np.dtype[np.float64]], groups: Sequence[object], seed: int
) -> tuple[float | None, float | None]:
    """Percentiles of the mean over drawn groups; NaN does not count."""
    names = list(dict.fromkeys(groups))
    index = np.array([names.index(group) for group in groups])
    known = ~np.isnan(numbers)
    sums = np.bincount(index, np.where(known, numbers, 0.0), len(names))
    counts = np.bincount(index, known.astype(float), len(names))
    sums, counts = sums[counts > 0], counts[counts > 0]
    if len(sums) < 2:
        return None, None
    draws = np.random.default_rng(seed).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)
