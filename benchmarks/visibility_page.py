"""The tables of docs/visibility.md, from the rows of docs/visibility.json."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.sections import put, table
from decontext.evaluation.identity import THRESHOLD
from decontext.evaluation.recognisers import SYNTHETIC_THRESHOLDS
from decontext.visibility.scores import estimate_score

PAGE = Path(__file__).parents[1] / "docs" / "visibility.md"
CROPS = ("crop-5", "crop-10")
USUAL = "jpeg-75+resize-0.5"
"""What sites make of a photo, harshly."""

Row = dict[str, Any]


def write_page(results: dict[str, Any]) -> None:
    """All tables."""
    rows = results["frontier"]
    ours = [row for row in rows if _is_ours(row)]
    put(PAGE, "summary", _summary_table(rows), measured=False)
    put(PAGE, "frontier", _frontier_table(rows), measured=False)
    put(PAGE, "copies", _copies_table(ours), measured=False)
    put(PAGE, "calibration", _calibration_table(results["calibration"]), measured=False)
    put(PAGE, "guard", _guard_table(results["guard"]), measured=False)
    put(PAGE, "tried", _tried_table(results["tried"]), measured=False)


def groups(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Runs of ours by size and kind of photo."""
    for ratio in sorted({row["ratio"] for row in rows}, reverse=True):
        for rendered, name in ((True, "rendered people"), (False, "photographs")):
            found = [
                row
                for row in rows
                if _is_ours(row) and row["ratio"] == ratio and is_rendered(row) == rendered
            ]
            if found:
                yield f"{name}, {ratio}x ({len(found)})", found


def _summary_table(rows: Sequence[Row]) -> str:
    """Median and worst of each group; edits that show the person, and steps."""
    lines = []
    for name, found in groups(rows):
        gains = [gain for row in found if (gain := gain_over_flat(row, rows)) is not None]
        kept = [left for row in found if (left := of_flat(row, rows, left_of)) is not None]
        lines.append(
            [
                name,
                _middle(found, lambda row: row["ssimulacra2"], "{:.0f}", min),
                _middle(found, lambda row: row["jod"], "{:.2f}", min),
                _middle(found, lambda row: _colour(row), "{:.1f}", max),
                _middle(found, fall_of, "{:.2f}", min),
                _middle(found, left_of, "{:.0%}", min),
                _beside_flat(kept, "{:.0%}"),
                _middle(found, lambda row: _least(row, but=CROPS), "{:.2f}", min),
                _middle(found, lambda row: _least(row), "{:.2f}", min),
                *(_share(found, copy) for copy in _edited(found)),
                _middle(
                    found,
                    lambda row: row["passes_with_gradient"] + row["passes_without"],
                    "{:.0f}",
                    max,
                ),
                _beside_flat(gains, "{:+.0f}"),
            ]
        )
    edited = [f"edits with the person: {copy}" for copy in _edited([r for r in rows if r["edits"]])]
    return table(
        ["photos", "SSIMULACRA2", "JOD", "coarse colour on skin", "fall",
         "left of it after JPEG 75 and half size", "of that of flat (photos)",
         "worst copy but crops", "worst copy", *edited, "passes",
         "SSIMULACRA2 above flat (photos)"],
        lines,
    )  # fmt: skip


def _frontier_table(rows: Sequence[Row]) -> str:
    """Every run; beside ours what flat sign steps would have at its fall, where two are there."""
    lines = []
    for row in sorted(rows, key=lambda row: (-row["ratio"], row["photo"], row["method"])):
        ours = _is_ours(row)
        gain = gain_over_flat(row, rows) if ours else None
        colour = _colour(row)
        lines.append(
            [
                row["photo"],
                f"{row['ratio']}x",
                row["strength"] if ours else f"flat {row['strength']}/255",
                f"{fall_of(row):.2f}",
                f"{row['ssimulacra2']:.0f}",
                "" if row["jod"] is None else f"{row['jod']:.1f}",
                "" if colour is None else f"{colour:.1f}",
                "" if gain is None else f"{gain:+.0f}",
                f"{row['passes_with_gradient']} + {row['passes_without']}",
                f"{row['seconds']:.0f}",
            ]
        )
    return table(
        ["photo", "size", "version", "fall", "SSIMULACRA2", "JOD", "coarse colour on skin",
         "above flat at that fall", "passes with + without gradient", "seconds"],
        lines,
    )  # fmt: skip


def _copies_table(rows: Sequence[Row]) -> str:
    """What is left of the fall in each copy, and which edits still show the person."""
    copies, edited = list(rows[0]["falls"]), _edited(rows)
    lines = [
        [
            row["photo"],
            f"{row['ratio']}x",
            *(f"{row['falls'][name]:.2f}" for name in copies),
            *(_share([row], name) for name in edited),
        ]
        for row in sorted(rows, key=lambda row: (-row["ratio"], row["photo"]))
    ]
    heads = [f"edits: {name}" for name in edited]
    return table(["photo", "size", *copies, *heads], lines)


def _calibration_table(rows: Sequence[Row]) -> str:
    """How alike the distance and the scores of others order random changes, by size."""
    lines = []
    for ratio in sorted({row["ratio"] for row in rows}):
        found = [row for row in rows if row["ratio"] == ratio]
        misses = [abs(estimate_score(row["distance"]) - row["ssimulacra2"]) for row in found]
        lines.append(
            [
                f"{ratio}x",
                str(len(found)),
                *(_agreement(found, name) for name in ("ssimulacra2", "jod")),
                f"{statistics.mean(misses):.0f}",
            ]
        )
    return table(
        ["size", "changes", "rank correlation with SSIMULACRA2", "with JOD",
         "SSIMULACRA2 estimated from it, mean miss"],
        lines,
    )  # fmt: skip


def _guard_table(rows: Sequence[Row]) -> str:
    """The distance with other numbers of its guard of plain places."""
    lines = [
        [
            f"{row['counts']:g}",
            f"{row['contrast']:g}",
            f"{row['ssimulacra2']:.2f}",
            f"{row['jod']:.2f}",
            f"{row['miss']:.1f}",
        ]
        for row in rows
    ]
    heads = ["times that plain places count", "contrast by which a place is no longer plain",
             "rank correlation with SSIMULACRA2", "with JOD",
             "SSIMULACRA2 by a line, mean miss"]  # fmt: skip
    return table(heads, lines)


def _tried_table(rows: Sequence[Row]) -> str:
    """Other ways to search, photo by photo, in the order in which they were run."""
    copies = list(rows[0]["falls"])
    lines = [
        [
            row["photo"],
            row["way"],
            f"{row['ssimulacra2']:.0f}",
            "" if row["jod"] is None else f"{row['jod']:.1f}",
            str(row["passes_with_gradient"]),
            *(f"{row['falls'][name]:.2f}" for name in copies),
        ]
        for row in sorted(rows, key=lambda row: str(row["photo"]))
    ]
    return table(["photo", "search", "SSIMULACRA2", "JOD", "passes with gradient", *copies], lines)


def _agreement(rows: Sequence[Row], score: str) -> str:
    """Spearman's rank correlation, 1 where the distance orders changes as the score does."""
    found = [(-row["distance"], row[score]) for row in rows if row[score] is not None]
    return f"{spearmanr(*zip(*found, strict=True)).statistic:.2f}" if len(found) > 2 else ""


def gain_over_flat(row: Row, rows: Sequence[Row]) -> float | None:
    """SSIMULACRA2 above that of flat sign steps that fall as far; None where they were not run."""
    score = of_flat(row, rows, lambda other: float(other["ssimulacra2"]))
    return None if score is None else float(row["ssimulacra2"]) - score


def of_flat(row: Row, rows: Sequence[Row], value: Callable[[Row], float]) -> float | None:
    """A figure of flat sign steps that fall as far as a run of ours, along the line through two
    budgets; None where they were not run."""
    flat = [
        other
        for other in rows
        if not _is_ours(other) and all(other[key] == row[key] for key in ("photo", "ratio"))
    ]
    if len(flat) < 2:
        return None
    low, *_, high = sorted(flat, key=fall_of)
    share = (fall_of(row) - fall_of(low)) / (fall_of(high) - fall_of(low))
    return value(low) + share * (value(high) - value(low))


def left_of(row: Row) -> float:
    """Of the fall as saved, the part that a usual copy keeps."""
    left: float = row["falls"][USUAL] / fall_of(row)
    return left


def fall_of(row: Row) -> float:
    """Of the context proportion, as saved."""
    fall: float = row["falls"]["none"]
    return fall


def is_rendered(row: Row) -> bool:
    """Whether the photo is of a rendered person: these are numbered."""
    return str(row["photo"]).isdecimal()


def _is_ours(row: Row) -> bool:
    return bool(row["method"] == "least-visible")


def _colour(row: Row) -> float | None:
    """See `coarse_colour`; runs of before lack it."""
    value: float | None = row.get("coarse_colour", {}).get("skin")
    return value


def _least(row: Row, *, but: Sequence[str] = ()) -> float:
    return min(fall for name, fall in row["falls"].items() if name not in but)


def _edited(rows: Sequence[Row]) -> list[str]:
    """The copies of which edits were made of every one of the rows."""
    return [name for name in rows[0]["edits"] if all(name in row["edits"] for row in rows)]


def _share(rows: Sequence[Row], copy: str) -> str:
    """Such as "3 of 44": edits that show the person."""
    shown = [
        value is not None and value >= (_threshold(row))
        for row in rows
        for value in row["edits"][copy]
    ]
    return f"{sum(shown)} of {len(shown)}"


def _threshold(row: Row) -> float:
    return SYNTHETIC_THRESHOLDS["sface"] if is_rendered(row) else THRESHOLD


def _middle(
    rows: Sequence[Row],
    value: Callable[[Row], float | None],
    form: str,
    worst: Callable[[Sequence[float]], float],
) -> str:
    """Median and worst of a figure: "71 (53)"."""
    found = [one for row in rows if (one := value(row)) is not None]
    if not found:
        return ""
    return f"{form.format(statistics.median(found))} ({form.format(worst(found))})"


def _beside_flat(values: Sequence[float], form: str) -> str:
    """Median, worst and number of photos: "+72 (+41; 7)"."""
    if not values:
        return ""
    middle, worst = (form.format(value) for value in (statistics.median(values), min(values)))
    return f"{middle} ({worst}; {len(values)})"
