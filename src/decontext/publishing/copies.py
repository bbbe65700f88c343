"""Which published copy of a photo a step of the least visible change looks at: mostly the worst.

Beside `chains`, which draws what sites do with fixed odds. Here the odds follow what each kind of
copy still shows: a kind through which the editor still sees much of the photo comes up more often,
so that the weakest copy is strengthened and not the mean.
"""

from __future__ import annotations

import math

import torch

from decontext.publishing.chains import (
    draw_factor,
    draw_jpeg,
    draw_number,
    usual_factor,
)
from decontext.publishing.transforms import Part, Transform, chain, parse_transform
from decontext.settings import RobustLevel

KINDS: dict[RobustLevel, tuple[str, ...]] = {
    "off": ("none",),
    "jpeg": ("none", "jpeg"),
    "web": ("none", "jpeg", "reduced", "cut", "mirrored"),
    "strong": ("none", "jpeg", "reduced", "cut", "mirrored", "blurred", "noisy"),
}
"""Kinds of published copies by level of `--robust`."""

ALLOWANCE = 1.5
"""How many times as much a copy may show as the photo as it was saved."""

PREFERENCE = 2.0
"""A kind that shows twice as much of what it may comes up four times as often."""
_MEMORY = 0.6


class Copies:
    """Draws published copies of a photo, the worst kinds most often.

    Args:
        level: of `--robust`.
        size: of the photo, `(width, height)`.

    Attributes:
        last: the kind that was drawn last.
    """

    def __init__(self, level: RobustLevel, size: tuple[int, int]) -> None:
        self._level, self._size = level, size
        self._kinds = KINDS[level]
        self._values: dict[str, float] = {}
        self.last = self._kinds[0]

    def draw(self, generator: torch.Generator) -> Transform:
        """The copy that the next step looks at; each kind comes once before any comes twice."""
        unseen = [kind for kind in self._kinds if kind not in self._values]
        kinds = unseen or list(self._kinds)
        odds = [1.0 if unseen else self._values[kind] ** PREFERENCE for kind in kinds]
        place = draw_number(generator, 0, sum(odds))
        for kind, part in zip(kinds, odds, strict=True):
            self.last = kind
            place -= part
            if place < 0:
                break
        return chain(*self._parts(self.last, generator))

    @property
    def allowance(self) -> float:
        """How many times as much the last kind may show as the photo as it was saved."""
        return 1.0 if self.last == "none" else ALLOWANCE

    def learn(self, value: float) -> None:
        """What the editor saw through the last copy, a context proportion, by its allowance."""
        value = max(value, 1e-6) if math.isfinite(value) else 1.0
        before = self._values.get(self.last, value)
        self._values[self.last] = before**_MEMORY * value ** (1 - _MEMORY)

    def _parts(self, kind: str, generator: torch.Generator) -> tuple[Part, ...]:
        """The operations of one copy of this kind."""
        lowest = 60 if self._level == "web" else 50 if self._level == "jpeg" else 30
        jpeg = draw_jpeg(lowest, generator)
        small = ("small", draw_factor(0.5, self._size, generator))
        cut = ("crop", round(draw_number(generator, 0, 10), 2))
        also = draw_number(generator) < 0.5
        return {
            "none": (),
            "jpeg": (jpeg,),
            "reduced": (small, jpeg) if also else (jpeg, small),
            "cut": (cut, jpeg) if also else (cut,),
            "mirrored": (cut, ("flip", None)) if also else (("flip", None),),
            "blurred": (("blur", round(draw_number(generator, 0.3, 1.5), 2)),),
            "noisy": (("noise", round(draw_number(generator, 0.01, 0.05), 3)),),
        }[kind]


def judged_copies(level: RobustLevel, size: tuple[int, int]) -> tuple[Transform, ...]:
    """The published copies through which a change is judged: one in the middle of each kind."""
    names = {
        "jpeg": "jpeg-75",
        "reduced": f"small-{usual_factor(size):.4f}+jpeg-80",
        "cut": "crop-5",
        "mirrored": "flip",
        "blurred": "blur-0.8",
        "noisy": "noise-0.02",
    }
    return tuple(parse_transform(names[kind]) for kind in KINDS[level] if kind != "none")
