"""The figures of an evaluation as tables and plain values, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import CUT, ORIGINAL
from decontext.evaluation.sentences import tell_findings
from decontext.evaluation.summary import FEW, Summary

__all__ = [
    "ABSENT",
    "Figures",
    "Table",
    "drop_empty",
    "fidelity_table",
    "identity_table",
    "number",
    "number_beside",
    "percent",
    "photo_table",
    "prompt_table",
    "short_table",
    "signed",
    "to_dict",
    "transform_table",
    "with_interval",
]

Table = list[tuple[str, ...]]
"""Rows of cells; the first is the head."""

ABSENT = "–"


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
                *(with_interval(value) for value in found),
                *(percent(value.share) for value in found),
                number(found[0].spread),
                number_beside(found[0].worst, figures.heading["thresholds"][names[0]]),
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
            interval = f"{number(found[0].low)}..{number(found[0].high)} n={found[0].groups}"
        shares = (percent(value.share) for value in found)
        face = percent(figures.face_found(version))
        table.append((label, number(found[0].mean), interval, *shares, face))
    return table


def transform_table(figures: Figures, version: str) -> Table:
    """What is left of one protection after each transform."""
    table: Table = [
        ("after", "edit of the original", "edit of the protected", "same person", "drop", "kept",
         "attention fell by", "verdicts")
    ]  # fmt: skip
    for transform in figures.transforms:
        found = figures.identity(version, transform)
        if found.count + found.missing == 0:
            continue
        table.append(
            (
                transform,
                number(figures.identity(ORIGINAL, transform).mean),
                with_interval(found),
                percent(found.share),
                number(figures.identity_drop(version, transform)),
                percent(figures.kept(version, transform)),
                percent(figures.attention_drop(version, transform).mean),
                _verdicts(figures, version, transform),
            )
        )
    return drop_empty(table)


def _verdicts(figures: Figures, version: str, transform: str) -> str:
    """Such as "3 strong, 1 weak"."""
    found = figures.verdicts(version, transform)
    return ", ".join(f"{count} {level}" for level, count in found.items()) or ABSENT


def fidelity_table(figures: Figures) -> Table:
    """How far protected photos are from their originals, and how good edits are as pictures."""
    table: Table = [
        ("version", "levels", "SSIMULACRA2", "JOD", "PSNR dB", "worst patch dB", "SSIM", "MS-SSIM",
         "LPIPS", "blur of edits", "noise of edits", "seconds")
    ]  # fmt: skip
    for version, label in figures.labels.items():
        columns = (
            "levels", "ssimulacra2", "jod", "psnr", "worst_patch", "ssim", "ms_ssim", "lpips",
        )  # fmt: skip
        cells = [ABSENT] * len(columns)
        seconds = ABSENT
        if version not in (ORIGINAL, CUT):
            means = [figures.fidelity(name, version).mean for name in columns]
            digits = (0, 0, 1, 1, 1, 3, 3, 3)
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
        failed = [f["message"] for f in figures.failures(row)]
        table.append((row["photo"], size, row["status"], "; ".join([*row["notes"], *failed])))
    return table


def to_dict(figures: Figures) -> dict[str, Any]:
    """All summaries as plain values, by version and transform."""
    return {
        "title": figures.title,
        "found": tell_findings(figures),
        "statement": figures.statement,
        "demonstration": figures.demonstration,
        "failed": list(figures.failed()),
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
        values["verdicts"] = figures.verdicts(version, transform)
        values["identity_drop"] = figures.identity_drop(version, transform)
        values["kept"] = figures.kept(version, transform)
        values["attention_drop"] = figures.attention_drop(version, transform).mean
    return values


def drop_empty(table: Table) -> Table:
    """A table without the rows and columns in which nothing was measured."""
    head, *rows = table
    rows = [row for row in rows if len(row) == 1 or any(cell != ABSENT for cell in row[1:])]
    kept = [
        place for place in range(len(head)) if not rows or any(r[place] != ABSENT for r in rows)
    ]
    return [tuple(row[place] for place in kept) for row in (head, *rows)]


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a table; a dash where there is none."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return ABSENT if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float) -> str:
    """A difference with its sign; what rounds to nothing has none."""
    rounded = round(value, 2) + 0.0
    return f"{rounded:+.2f}" if rounded else "0.00"


def number_beside(value: float | None, threshold: float) -> str:
    """A figure with as many digits as tell it from a threshold: two, near it three or four."""
    digits = 2
    while value is not None and digits < 4 and round(value, digits) == round(threshold, digits):
        digits += 1
    return number(value, digits)


def percent(value: float | None) -> str:
    """A part for a table; a dash where there is none."""
    return ABSENT if value is None else f"{round(value, 2) + 0.0:.0%}"


def with_interval(found: Summary) -> str:
    """A mean, its interval, and how many photos that is drawn from; `only` where they are few."""
    if found.low is None:
        return number(found.mean)
    few = " only" if found.groups < FEW else ""
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}] n={found.groups}{few}"
