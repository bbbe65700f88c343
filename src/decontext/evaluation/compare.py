"""Two evaluations beside each other: what changed, by pairs of edits that differ in nothing else.

After the tables on the way of the data; made from rows alone. A pair is an edit in each of the two
runs of the same photo (by content), after the same transform, with the same instruction and seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decontext.errors import InputError
from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import CUT, ORIGINAL
from decontext.evaluation.results import NAME, Row, content_of, merge_rows, read_rows
from decontext.evaluation.summary import Summary, summarise
from decontext.evaluation.tables import Table, number, percent, signed

SAME_IN_BOTH = ("editor", "weights", "edit_steps", "rendered")
"""What the headings of two runs should share for their difference to be that of the protection."""


Pair = tuple[Any, ...]
"""Photo by content, instruction and seed."""

Values = tuple[float | None, float | None]
"""Identity in both runs; None where no face was found."""


@dataclass(frozen=True)
class Difference:
    """One version after one transform in both runs.

    Attributes:
        label: of the version; two, where it is called differently.
        transform: what happened to the photo before it was edited.
        first, second: identity in each run, over the edits that have a pair.
        change: second minus first, pair by pair; its interval is over photos.
        edits: pairs, those included in which no face was found.
        protected: whether it is a version that was protected, and no control.
    """

    label: str
    transform: str
    first: Summary
    second: Summary
    change: Summary
    edits: int
    protected: bool

    @property
    def words(self) -> str:
        """Whether the second run shows the person less, by the interval of the change."""
        low, high = self.change.low, self.change.high
        if low is None or high is None or low <= 0 <= high:
            return "no difference that this many photos could show"
        return "shows the person less" if high < 0 else "shows the person more"


def read_evaluation(place: str | Path) -> Figures:
    """The figures of an evaluation, by its folder or its file of results.

    Raises:
        InputError: there are no results, or they cannot be read.
    """
    path = Path(place)
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; it must hold the results of 'decontext evaluate'.",
            "Name the folder that was given to evaluate as --output.",
        )
    return Figures(merge_rows(read_rows([path])))


def compare(
    first: Figures, second: Figures, *, recogniser: str | None = None
) -> tuple[Difference, ...]:
    """What differs between two runs, for each version and transform that both have.

    Versions are the same where their settings are, else where they are called the same; a run with
    one protected version only is compared with the other's only one, whatever both are called.

    Raises:
        InputError: no such recogniser in both, or no edit that both runs have.
    """
    name = _choose_recogniser(first, second, recogniser)
    found = []
    for version, other in _versions(first, second).items():
        for transform in first.transforms:
            before = _by_pair(first.edits(version, transform), name)
            after = _by_pair(second.edits(other, transform), name)
            pairs = {pair: (before[pair], after[pair]) for pair in before if pair in after}
            if pairs:
                label = _join(first.labels[version], second.labels[other])
                sides = _summarise(pairs, first.heading["thresholds"][name])
                protected = version not in (ORIGINAL, CUT)
                found.append(Difference(label, transform, *sides, len(pairs), protected))
    if not found:
        raise InputError(
            "the two evaluations have no edit in common; nothing can be compared.",
            "They must have edited the same photos with the same instructions and seeds.",
        )
    return tuple(found)


def warn_of_differences(first: Figures, second: Figures) -> list[str]:
    """A sentence for everything but the protection in which two runs differ."""
    return [
        f"the runs differ in {name}: {first.heading.get(name)} and {second.heading.get(name)}."
        for name in SAME_IN_BOTH
        if first.heading.get(name) != second.heading.get(name)
    ]


def tell_differences(differences: Sequence[Difference]) -> list[str]:
    """A sentence for each version after each transform; what was not protected is left out."""
    return [
        f"{one.label}, after {one.transform}: the second run {one.words}."
        if one.words.startswith("shows")
        else f"{one.label}, after {one.transform}: {one.words}."
        for one in differences
        if one.protected
    ]


def comparison_table(differences: Sequence[Difference]) -> Table:
    """The differences for people; the first row is the head."""
    head = ("version", "after", "first", "second", "change [95 %]", "same person", "edits")
    return [
        head,
        *(
            (
                one.label,
                one.transform,
                number(one.first.mean),
                number(one.second.mean),
                _with_interval(one.change),
                f"{percent(one.first.share)} → {percent(one.second.share)}",
                str(one.edits),
            )
            for one in differences
        ),
    ]


def to_dict(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """The differences as plain values."""
    return [
        {
            "version": one.label,
            "transform": one.transform,
            "edits": one.edits,
            "first": one.first.to_dict(),
            "second": one.second.to_dict(),
            "change": one.change.to_dict(),
            "words": one.words,
        }
        for one in differences
    ]


def _summarise(pairs: Mapping[Pair, Values], threshold: float) -> tuple[Summary, Summary, Summary]:
    """The first run, the second, and what changed from one to the other."""
    photos = [pair[0] for pair in pairs]
    before, after = zip(*pairs.values(), strict=True)
    changes = [
        None if one is None or other is None else other - one for one, other in pairs.values()
    ]
    return (
        summarise(before, photos, threshold=threshold),
        summarise(after, photos, threshold=threshold),
        summarise(changes, photos),
    )


def _versions(first: Figures, second: Figures) -> dict[str, str]:
    """Versions of the first run, and the same ones of the second."""
    keys = {label: key for key, label in second.labels.items()}
    found = {
        key: key if key in second.labels else keys[label]
        for key, label in first.labels.items()
        if key in second.labels or label in keys
    }
    alone = [[v for v in run.labels if v not in (ORIGINAL, CUT)] for run in (first, second)]
    if len(alone[0]) == len(alone[1]) == 1:
        found[alone[0][0]] = alone[1][0]
    return found


def _choose_recogniser(first: Figures, second: Figures, name: str | None) -> str:
    shared = [one for one in first.recognisers if one in second.recognisers]
    if name is None and shared:
        return shared[0]
    if name is None or name not in shared:
        what = "both evaluations have" if name is None else f"no {name!r} is in both; both have"
        raise InputError(f"{what} these recognisers in common: {', '.join(shared) or 'none'}.")
    return name


def _by_pair(rows: Sequence[Row], recogniser: str) -> dict[Pair, float | None]:
    return {
        (content_of(row), row["prompt"], row["seed"]): row["identity"][recogniser] for row in rows
    }


def _join(label: str, other: str) -> str:
    return label if label == other else f"{label} → {other}"


def _with_interval(change: Summary) -> str:
    if change.mean is None:
        return number(None)
    if change.low is None or change.high is None:
        return signed(change.mean)
    return f"{signed(change.mean)} [{signed(change.low)}, {signed(change.high)}] n={change.groups}"
