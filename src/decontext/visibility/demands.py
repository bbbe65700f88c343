"""What is wanted of each kind of copy of a photo, and how hard it presses for that.

Between the visible distance and the search on the way of the data. A kind that still shows too much
presses harder with each look at it, one that shows less than it may presses less: what the search
weighs against the distance is the weakest copy and not the mean. A kind whose pressure came to its
bound is dear: what it would take is seen too much, and the search does not wait for it. Where it is
still far from what is wanted of it after some looks it is given up, and nothing is paid for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

GAIN, MOST_EXCESS = 0.15, 0.7
"""Of the pressure with each look: the logarithm of what is shown over what may be, up to a bound,
times this, and more for kinds that are looked at seldom."""

ANSWER, FIRST_LOOKS = 1.0, 2
"""A kind that shows less than it may presses less at once, by this power of the part. The pressure
itself stays as it is for the first looks, while the change is only beginning."""

LEAST_SHARE = 0.05
"""Of all pressure that each kind keeps, so that it is looked at again."""

NEAR, MADE_UP = 0.05, 0.15
"""By twice the first the last looks must show less than wanted for the change to be too strong;
the second is how much more they may show, for the end to make up for it without further steps."""

MOST_PRESSURE = 60.0
"""Of a kind that has no bound of its own."""

_MEMORY = 0.7
_SELDOM = 6.0

FAR, PATIENCE = 1.25, 5
"""A kind that shows so many times what it may, after so many looks at its bound, is given up."""


@dataclass(frozen=True)
class Demand:
    """Of one kind of copy.

    Attributes:
        most: proportion that it may show, as a part of the original's.
        pressure: at first.
        bound: largest pressure.
    """

    most: float
    pressure: float = 3.0
    bound: float = MOST_PRESSURE


class Demands:
    """The kinds and what is wanted of them; the first kind is the photo as it was saved."""

    def __init__(self, wanted: Mapping[str, Demand]) -> None:
        self._wanted, self._first = dict(wanted), next(iter(wanted))
        self._pressure = {kind: demand.pressure for kind, demand in wanted.items()}
        self._due = dict.fromkeys(wanted, 0.0)
        self._shown: dict[str, float] = {}
        self._looks = dict.fromkeys(wanted, 0)
        self._looks_at_bound = dict.fromkeys(wanted, 0)

    def draw(self) -> str:
        """The kind that the next step looks at: as often as it presses, in even turns."""
        for kind in self._due:
            self._due[kind] += self._pressing(kind) / self._total
        kind = max(self._due, key=lambda name: self._due[name])
        self._due[kind] -= 1
        return kind

    def learn(self, kind: str, ratio: float) -> None:
        """What the last look at a kind showed, as a part of the original's proportion."""
        ratio = min(max(ratio, 1e-6), 1e6) if math.isfinite(ratio) else 1.0
        before = self._shown.get(kind, ratio)
        self._shown[kind] = before**_MEMORY * ratio ** (1 - _MEMORY)
        self._looks[kind] += 1
        seldom = min(self._total / self._pressing(kind), _SELDOM)
        gain = GAIN * seldom if self._looks[kind] > FIRST_LOOKS else 0.0
        pressure = self._pressure[kind] * math.exp(gain * self._excess(kind))
        least, bound = LEAST_SHARE * self._total, self._wanted[kind].bound
        self._looks_at_bound[kind] += pressure >= bound
        if self._shown[kind] <= self._wanted[kind].most:
            self._looks_at_bound[kind] = 0
        pressure = least if self._given_up(kind) else max(pressure, least)
        self._pressure[kind] = min(pressure, bound)

    @property
    def weight(self) -> float:
        """Of the distance, where the kinds come up as often as they press."""
        return 1 / self._total

    @property
    def reached(self) -> bool:
        """Whether the last looks at all kinds, but those too dear, showed no more than they may."""
        waited = [kind for kind in self._wanted if not self._dear(kind)]
        return all(self._shown.get(kind, math.inf) <= self._wanted[kind].most for kind in waited)

    @property
    def passed(self) -> bool:
        """Whether the photo as it was saved showed much less than it may: it can be seen less."""
        kind = self._first
        return self._shown.get(kind, math.inf) < self._wanted[kind].most * (1 - 2 * NEAR)

    @property
    def reached_as_saved(self) -> bool:
        """Whether the photo as it was saved showed no more than the end can make up for."""
        kind = self._first
        return self._shown.get(kind, math.inf) <= self._wanted[kind].most * (1 + MADE_UP)

    @property
    def far(self) -> bool:
        """Whether less than half of the way is made, in logarithms of the proportion."""
        kind = self._first
        return self._shown.get(kind, math.inf) > math.sqrt(self._wanted[kind].most)

    def excess(self, ratio: float) -> float:
        """Logarithm of a judged proportion, as a part of the original's, over what it may be.

        0 or less reaches; it is not less while copies that are waited for show too much: for the
        sake of these the change is not made weaker.
        """
        found = math.log(max(ratio, 1e-6) / self._wanted[self._first].most)
        return found if self.reached else max(found, 0.0)

    def _excess(self, kind: str) -> float:
        """Logarithm of what the last looks showed over what may be, up to a bound."""
        if kind not in self._shown:
            return 0.0
        excess = math.log(self._shown[kind] / self._wanted[kind].most)
        return min(max(excess, -MOST_EXCESS), MOST_EXCESS)

    def _pressing(self, kind: str) -> float:
        """The pressure with what it answers to at once."""
        answer = math.exp(ANSWER * min(self._excess(kind), 0.0))
        return self._pressure[kind] * answer

    @property
    def _total(self) -> float:
        return sum(self._pressing(kind) for kind in self._wanted)

    def _dear(self, kind: str) -> bool:
        return kind != self._first and self._looks_at_bound[kind] > 0

    def _given_up(self, kind: str) -> bool:
        far = self._shown[kind] > FAR * self._wanted[kind].most
        return self._dear(kind) and self._looks_at_bound[kind] >= PATIENCE and far
