"""From rows to figures: what edits of each version show, after each transform, and how sure it is.

Everything is computed from rows alone, so that tables and pages can be made again from the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import Row
from decontext.evaluation.summary import Summary, summarise

Table = list[tuple[str, ...]]
"""Rows of cells; the first is the head."""

ABSENT = "–"


@dataclass(frozen=True)
class Figures:
    """The rows of an evaluation, and what they say.

    A version is `original` or the key of a protection; `label` gives its name.
    """

    rows: Sequence[Row]

    @cached_property
    def heading(self) -> Row:
        """Editor, thresholds and the name of the image encoder."""
        return next(iter(self._of("heading")), {"thresholds": {}, "likeness": ""})

    @property
    def recognisers(self) -> tuple[str, ...]:
        """Names of the recognisers, SFace first."""
        return tuple(self.heading["thresholds"])

    @cached_property
    def labels(self) -> dict[str, str]:
        """Versions and their names, the original first, in the order of the rows."""
        found = {ORIGINAL: "the original"}
        if self.edits(CUT):
            found[CUT] = "attention cut: the bound"
        for row in self._of("protection"):
            found.setdefault(row["protection"], row["label"])
        return found

    @cached_property
    def transforms(self) -> tuple[str, ...]:
        """Names of the transforms, in the order of the rows."""
        return tuple(dict.fromkeys(row["transform"] for row in self._of("edit")))

    def identity(
        self, version: str, transform: str = NONE, *, recogniser: str | None = None, **fields: Any
    ) -> Summary:
        """How much edits show the person of the original; `fields` choose rows further."""
        name = recogniser or self.recognisers[0]
        rows = self.edits(version, transform, **fields)
        return summarise(
            [row["identity"][name] for row in rows],
            [row["photo"] for row in rows],
            threshold=self.heading["thresholds"][name],
        )

    def value(self, name: str, version: str, transform: str = NONE) -> Summary:
        """Another figure of edits: `likeness`, `blur` or `noise`."""
        rows = self.edits(version, transform)
        return summarise([row[name] for row in rows], [row["photo"] for row in rows])

    def face_found(self, version: str, transform: str = NONE) -> float | None:
        """Part of the edits in which a face was found: one minus FDFR."""
        rows = self.edits(version, transform)
        return sum(row["faces"] > 0 for row in rows) / len(rows) if rows else None

    def attention_drop(self, version: str, transform: str = NONE) -> Summary:
        """By what part the context proportion fell, the original after the same transform."""
        rows = self._of("measurement", protection=version, transform=transform)
        return summarise([row["drop"] for row in rows], [row["photo"] for row in rows])

    def fidelity(self, name: str, version: str) -> Summary:
        """A figure of the protected photos: `levels`, `psnr`, `ssim`, `ms_ssim`, ..."""
        rows = self._of("protection", protection=version)
        return summarise([row[name] for row in rows], [row["photo"] for row in rows])

    def identity_drop(self, version: str, transform: str) -> float | None:
        """How far identity fell against edits of the original after the same transform.

        Only pairs of edits count of which both show a face, of the same photo, prompt and seed.
        """
        name = self.recognisers[0]
        before = {_pair(r): r["identity"][name] for r in self.edits(ORIGINAL, transform)}
        after = {_pair(r): r["identity"][name] for r in self.edits(version, transform)}
        drops = [
            before[pair] - value
            for pair, value in after.items()
            if value is not None and before.get(pair) is not None
        ]
        return sum(drops) / len(drops) if drops else None

    def identity_difference(
        self, version: str, other: str, *, recogniser: str | None = None
    ) -> Summary:
        """Identity of edits of one version minus that of another, by pairs as above."""
        name = recogniser or self.recognisers[0]
        before = {_pair(r): r["identity"][name] for r in self.edits(other)}
        after = {_pair(r): r["identity"][name] for r in self.edits(version)}
        pairs = [p for p, v in after.items() if v is not None and before.get(p) is not None]
        return summarise([after[p] - before[p] for p in pairs], [p[0] for p in pairs])

    def kept(self, version: str, transform: str) -> float | None:
        """Part of the drop of identity that a transform leaves; None where there was none."""
        whole, left = self.identity_drop(version, NONE), self.identity_drop(version, transform)
        # A drop of less than 0.05 is within what another seed does; a part of it says nothing.
        return left / whole if whole is not None and left is not None and whole >= 0.05 else None

    def edits(self, version: str, transform: str = NONE, **fields: Any) -> list[Row]:
        """The rows of edits of a version after a transform."""
        return self._of("edit", protection=version, transform=transform, **fields)

    def photos(self) -> list[Row]:
        """One row for each photo, with what the reader should know of it."""
        return self._of("photo")

    def failures(self) -> list[Row]:
        """Protections that failed, with the reason."""
        return self._of("failure")

    def _of(self, kind: str, **fields: Any) -> list[Row]:
        wanted = {"kind": kind, **fields}
        return [row for row in self.rows if all(row.get(k) == v for k, v in wanted.items())]


def identity_table(figures: Figures, versions: Mapping[str, str] | None = None) -> Table:
    """Who edits show, for each version of the photos as it is saved; `versions` have own names."""
    labels = versions or figures.labels
    names = figures.recognisers
    head = [f"{name}: mean [95 %]" for name in names] + [f"{name}: same person" for name in names]
    table: Table = [
        ("version", *head, "spread", "worst", "face found", figures.heading["likeness"], "edits")
    ]
    for version, label in labels.items():
        found = [figures.identity(version, recogniser=name) for name in names]
        if found[0].count + found[0].missing == 0:
            continue
        table.append(
            (
                label,
                *(_with_interval(value) for value in found),
                *(percent(value.share) for value in found),
                number(found[0].spread),
                number(found[0].worst),
                percent(figures.face_found(version)),
                number(figures.value("likeness", version).mean),
                str(found[0].count + found[0].missing),
            )
        )
    return table


def short_table(figures: Figures) -> Table:
    """Who edits show, in few columns: identity by the first recogniser, shares by all of them."""
    names = figures.recognisers
    table: Table = [("version", "identity", "95 %", *(f"same: {name}" for name in names), "face")]
    for version, label in figures.labels.items():
        found = [figures.identity(version, recogniser=name) for name in names]
        interval = ABSENT
        if found[0].low is not None:
            interval = f"{number(found[0].low)}..{number(found[0].high)}"
        shares = (percent(value.share) for value in found)
        face = percent(figures.face_found(version))
        table.append((label, number(found[0].mean), interval, *shares, face))
    return table


def transform_table(figures: Figures, version: str) -> Table:
    """What is left of one protection after each transform."""
    table: Table = [
        ("after", "edit of the original", "edit of the protected", "same person", "drop", "kept",
         "attention fell by")
    ]  # fmt: skip
    for transform in figures.transforms:
        found = figures.identity(version, transform)
        if found.count + found.missing == 0:
            continue
        table.append(
            (
                transform,
                number(figures.identity(ORIGINAL, transform).mean),
                _with_interval(found),
                percent(found.share),
                number(figures.identity_drop(version, transform)),
                percent(figures.kept(version, transform)),
                percent(figures.attention_drop(version, transform).mean),
            )
        )
    return table


def fidelity_table(figures: Figures) -> Table:
    """How far protected photos are from their originals, and how good edits are as pictures."""
    table: Table = [
        ("version", "levels", "PSNR dB", "worst patch dB", "SSIM", "MS-SSIM", "LPIPS",
         "blur of edits", "noise of edits", "seconds")
    ]  # fmt: skip
    for version, label in figures.labels.items():
        columns = ("levels", "psnr", "worst_patch", "ssim", "ms_ssim", "lpips")
        cells = [ABSENT] * len(columns)
        seconds = ABSENT
        if version not in (ORIGINAL, CUT):
            means = [figures.fidelity(name, version).mean for name in columns]
            digits = (0, 1, 1, 3, 3, 3)
            cells = [number(mean, place) for mean, place in zip(means, digits, strict=True)]
            seconds = number(figures.fidelity("seconds", version).mean, 1)
        edits = [figures.value(name, version).mean for name in ("blur", "noise")]
        table.append((label, *cells, number(edits[0]), number(edits[1], 1), seconds))
    return table


def prompt_table(figures: Figures) -> Table:
    """Mean identity by instruction and version: protection is not equal for all of them."""
    prompts = dict.fromkeys(row["prompt"] for row in figures.edits(ORIGINAL))
    return [
        ("instruction", *figures.labels.values()),
        *(
            (prompt, *(number(figures.identity(v, prompt=prompt).mean) for v in figures.labels))
            for prompt in prompts
        ),
    ]


def photo_table(figures: Figures) -> Table:
    """Every photo with its size and what is to be said of it."""
    table: Table = [("photo", "size", "status", "notes")]
    for row in figures.photos():
        size = " × ".join(map(str, row.get("size", ()))) or ABSENT
        failed = [f["message"] for f in figures.failures() if f["photo"] == row["photo"]]
        table.append((row["photo"], size, row["status"], "; ".join([*row["notes"], *failed])))
    return table


def to_dict(figures: Figures) -> dict[str, Any]:
    """All summaries as plain values, by version and transform."""
    return {
        "heading": figures.heading,
        "photos": figures.photos(),
        "versions": {
            figures.labels[version]: {
                "key": version,
                "face_found": figures.face_found(version),
                "after": {
                    t: _after(figures, version, t)
                    for t in figures.transforms
                    if figures.edits(version, t)
                },
            }
            for version in figures.labels
        },
    }


def _after(figures: Figures, version: str, transform: str) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        name: figures.identity(version, transform, recogniser=name).to_dict()
        for name in figures.recognisers
    }
    values["likeness"] = figures.value("likeness", version, transform).to_dict()
    if version not in (ORIGINAL, CUT):
        values["identity_drop"] = figures.identity_drop(version, transform)
        values["kept"] = figures.kept(version, transform)
        values["attention_drop"] = figures.attention_drop(version, transform).mean
    return values


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a table; a dash where there is none."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return ABSENT if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float | None) -> str:
    """A part for a table; a dash where there is none."""
    return ABSENT if value is None else f"{round(value, 2) + 0.0:.0%}"


def _with_interval(found: Summary) -> str:
    if found.low is None:
        return number(found.mean)
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}]"


def _pair(row: Row) -> tuple[Any, ...]:
    return row["photo"], row["prompt"], row["seed"]
