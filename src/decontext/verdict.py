"""What was measured of a photo, and what follows: strong, weak or none, in plain words.

The bounds are the study's: `python -m study.verdicts` says how many edits showed the person by how
far attention had fallen, and docs/measuring.md has its table. Nothing here promises anything.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

Level = Literal["strong", "weak", "none"]
LEVELS: tuple[Level, ...] = ("none", "weak", "strong")

STRONG_DROP, WEAK_DROP = 0.50, 0.10
LEAST_RATIO, LEAST_SHARE = 3.0, 0.75

DEMONSTRATION = (
    "This is a demonstration editor: the photo is protected against no editor that people use."
)


@dataclass(frozen=True)
class Measurement:
    """Context proportion of one instruction and noise, in [0, 1], mean over the blocks."""

    instruction: str
    sigma: float
    original: float
    protected: float
    random: float


@dataclass(frozen=True, repr=False)
class Verification:
    """What was measured, and what follows. True only where the level is "strong".

    `level` is "strong" where the mean fell by at least half of what it was, "weak" from a tenth,
    else "none"; both only where it fell at least three times as far as under random noise of the
    same strength, and in at least 75 % of the measurements. It holds for this editor only, and is
    no promise about what somebody does to the photo later.

    `levels` is the largest change of a colour value, `random_levels` that of the random noise: the
    one that 99 % of the changes stay within, as saving to JPEG changes single values far more.
    `blur` is by how many pixels the photo is blurred: then `original` and `random` were measured
    on the original blurred alike. `same_photo` is false where it shows something else.
    `transform` names what was done to all of them before they were measured. `block_count` is how
    many blocks the editor has, of which `blocks` were measured. `demonstration` says that the
    editor is one that nobody meets. Where a photo was measured against several editors this is the
    one that it does worst against, and `others` has the rest.
    """

    editor: str
    blocks: tuple[int, ...]
    levels: int
    measurements: tuple[Measurement, ...]
    random_levels: int = 0
    blur: float = 0.0
    same_photo: bool = True
    transform: str = "none"
    demonstration: bool = False
    block_count: int = 0
    others: tuple[Verification, ...] = ()

    def __bool__(self) -> bool:
        return self.protected

    def __str__(self) -> str:
        return f"{self.sentence} {DEMONSTRATION}" if self.demonstration else self.sentence

    def __repr__(self) -> str:
        return f"<Verification {self.level}: {self}>"

    @cached_property
    def original(self) -> float:
        """Mean context proportion of the original."""
        return statistics.fmean(m.original for m in self.measurements)

    @cached_property
    def protected_mean(self) -> float:
        """Mean context proportion of the protected photo."""
        return statistics.fmean(m.protected for m in self.measurements)

    @cached_property
    def random(self) -> float:
        """Mean context proportion of the original under random noise of the same strength."""
        return statistics.fmean(m.random for m in self.measurements)

    @property
    def drop(self) -> float:
        """By what part the proportion fell; 0.4 means to 60 % of what it was."""
        return 1 - self.protected_mean / self.original if self.original else 0.0

    @property
    def random_drop(self) -> float:
        """The same for random noise."""
        return 1 - self.random / self.original if self.original else 0.0

    @property
    def share_fallen(self) -> float:
        """Part of the measurements in which the proportion fell."""
        return statistics.fmean(float(m.protected < m.original) for m in self.measurements)

    @property
    def level(self) -> Level:
        """How well the photo measures as protected, by the rule of the class."""
        told_from_noise = (
            self.levels > 0
            and self.same_photo
            and self.drop >= LEAST_RATIO * self.random_drop
            and self.share_fallen >= LEAST_SHARE
        )
        if not told_from_noise or self.drop < WEAK_DROP:
            return "none"
        return "strong" if self.drop >= STRONG_DROP else "weak"

    def reaches(self, level: Level) -> bool:
        """Whether the verdict is this level or a stronger one."""
        return LEVELS.index(self.level) >= LEVELS.index(level)

    @property
    def protected(self) -> bool:
        """Whether the level is "strong": a weak result is not called protected."""
        return self.level == "strong"

    @property
    def sentence(self) -> str:
        """The verdict in one plain sentence."""
        if self.level == "strong":
            meaning = (
                f"edits by {self.editor} should no longer show this person, but somebody else or "
                "no face that can be recognised"
            )
        elif self.level == "weak":
            meaning = f"edits by {self.editor} may still show this person"
        else:
            meaning = f"this photo does not measure as protected against {self.editor}"
        return f"{self.level.capitalize()}: {meaning} ({self.reason})."

    @property
    def advice(self) -> str:
        """What to do next, in one or two sentences."""
        if self.levels == 0:
            return "Give the protected file, not a copy of the original."
        if not self.same_photo:
            return "Give the original of this very photo."
        if self.level != "strong":
            return "Try more --steps or a larger --epsilon."
        if len(self.blocks) < self.block_count:
            return (
                f"Only {len(self.blocks)} of {self.block_count} attention blocks were measured, "
                "which can look better than it is: 'decontext verify' measures all of them."
            )
        return "Look at edits of it, and measure it after what sites do: --transforms usual."

    @property
    def reason(self) -> str:
        """Why the verdict is as it is, in plain words."""
        if self.levels == 0:
            return "it is an unchanged copy of the original"
        if not self.same_photo:
            return "it is no version of the original, but another picture"
        fell = f"attention to the photo fell by {_percent(self.drop)}"
        if self.blur:
            fell += f" beyond what blurring by {self.blur:g} pixels does, as this photo is blurred"
        if self.drop < WEAK_DROP:
            return fell if self.drop > 0 else "attention to the photo did not fall"
        if self.drop < LEAST_RATIO * self.random_drop:
            return f"{fell}, but random noise alone does {_percent(self.random_drop)}"
        if self.share_fallen < LEAST_SHARE:
            return f"{fell}, but only in {_percent(self.share_fallen)} of the measurements"
        return f"{fell}; random noise of the same strength does {_percent(self.random_drop)}"

    @property
    def each(self) -> tuple[Verification, ...]:
        """This one, then those of the other editors."""
        return (replace(self, others=()), *self.others)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report, spread included."""
        values = self._to_dict()
        if self.others:
            values["others"] = [other.to_dict() for other in self.others]
        return values

    def _to_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "sentence": self.sentence,
            "advice": self.advice,
            "protected": self.protected,
            "reason": self.reason,
            "editor": self.editor,
            "transform": self.transform,
            "blur": self.blur,
            "same_photo": self.same_photo,
            "blocks": list(self.blocks),
            "levels": self.levels,
            "random_levels": self.random_levels,
            "context_proportion": {
                name: {"mean": statistics.fmean(v), "standard_deviation": statistics.pstdev(v)}
                for name, v in {
                    "original": [m.original for m in self.measurements],
                    "protected": [m.protected for m in self.measurements],
                    "random_noise": [m.random for m in self.measurements],
                }.items()
            },
            "drop": self.drop,
            "random_drop": self.random_drop,
            "share_fallen": self.share_fallen,
            "measurements": [asdict(m) for m in self.measurements],
        }


def _percent(value: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, 2) + 0.0:.0%}"


def weakest(found: Sequence[Verification]) -> Verification:
    """The one that a photo does worst in, with the others of it."""
    worst = min(found, key=lambda one: (LEVELS.index(one.level), one.drop))
    return replace(worst, others=tuple(one for one in found if one is not worst))
