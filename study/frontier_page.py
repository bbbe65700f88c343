"""From the rows of the frontier to docs/frontier.md, docs/frontier.json and a plot a question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from decontext.evaluation import charts
from decontext.evaluation.plan import ORIGINAL
from decontext.evaluation.results import Row, content_of, merge_rows, read_rows
from decontext.evaluation.summary import FEW, Summary, summarise
from decontext.evaluation.tables import Table, number
from decontext.report.plot import finish, new_figure
from study.frontier import EDITOR, Method, Question, rows_of
from study.write import to_markdown

HALF = 0.5
UNCHANGED = 100.0
"""SSIMULACRA2 of the photo itself."""

INTRODUCTION = f"""# Visibility and effect

How much of a person edits still show, against how visible the change is, on `{EDITOR}`, the
embedded demonstration editor. **None of it says what happens with another editor.** Each method is
run at five strengths. *At half* is the scalar: the SSIMULACRA2 (100: the photo itself, 90 not told
apart, 70 good, 50 plainly seen) at which identity has fallen by half of that of unprotected edits,
read between the strengths; higher is better. Where a method never gets there at the strengths that
were tried, the score of its strongest stands for it: the true one is lower.

Identity is the mean of SFace over edits; an edit in which no face is found counts as 0. In brackets
the 95 % interval over photos. Nothing is done to the photo between protecting and editing, and
methods are optimised for nothing else (`--robust off`). Rendered people are those of `study/people`
but the first two, which the least visible method was tried on, as on both portraits; its guard of
plain places was chosen by how enlarged pictures of 90003, 90004 and 90007 look, too. Made by
`python -m study.frontier`; all values as JSON: [frontier.json](frontier.json).
"""


def write_documents(out: Path, questions: Sequence[Question], docs: Path) -> list[Path]:
    """Write what the rows say; photos that were not done in every version are left out.

    An answer of more photos that is in frontier.json already stays: rows of several machines, or of
    questions that were asked one by one, need not lie in one folder.
    """
    (docs / "images").mkdir(parents=True, exist_ok=True)
    written = [docs / "frontier.json", docs / "frontier.md"]
    before = json.loads(written[0].read_text("utf-8")) if written[0].exists() else {}
    found = {one.name: answer(one, out) for one in questions}
    kept = {
        name: one
        for name, one in before.items()
        if name in found and one["photos"] > found[name]["photos"]
    }
    answers = found | kept
    for question in questions:
        if answers[question.name]["photos"] and question.name not in kept:
            picture = docs / "images" / picture_of(question)
            draw(question, answers[question.name]).savefig(picture, dpi=charts.DPI)
            written.append(picture)
    written[0].write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    written[1].write_text(build_page(answers, questions), encoding="utf-8")
    return written


def build_page(answers: Mapping[str, Any], questions: Sequence[Question]) -> str:
    """The document, from what frontier.json has."""
    absent = [one.title for one in questions if not answers[one.name]["photos"]]
    lines = [INTRODUCTION]
    if absent:
        lines += [f"**Not run to an end yet**, so not here: {'; '.join(absent)}.", ""]
    for question in questions:
        if answers[question.name]["photos"]:
            lines += section(question, answers[question.name], picture_of(question))
    return "\n".join(lines).rstrip() + "\n"


def picture_of(question: Question) -> str:
    """The file name of a question's plot."""
    return f"frontier-{question.name}.png"


def answer(question: Question, out: Path) -> dict[str, Any]:
    """For each method: identity and visibility at each strength, and the visibility at half."""
    rows = merge_rows(read_rows(rows_of(question, out)))
    photos = _whole_photos(question, rows)
    clean = {photo: _identity(rows, photo, ORIGINAL) for photo in photos}
    methods = {}
    for method in question.methods:
        strengths = []
        for version in method.versions:
            identity = [_identity(rows, photo, version.key) for photo in photos]
            seen = [_score(rows, photo, version.key) for photo in photos]
            strengths.append(
                {
                    "label": version.label,
                    "identity": _said(identity, photos),
                    "visibility": _said(seen, photos),
                    "photos": [list(pair) for pair in zip(seen, identity, strict=True)],
                }
            )
        halves = [
            at_half(clean[photo], [one["photos"][place] for one in strengths])
            for place, photo in enumerate(photos)
        ]
        methods[method.name] = {
            "strengths": strengths,
            "at_half": _said([score for score, _ in halves], photos),
            "never": sum(not reached for _, reached in halves),
        }
    return {
        "photos": len(photos),
        "original": _said(list(clean.values()), photos) if photos else None,
        "methods": methods if photos else {},
    }


def at_half(clean: float, points: Sequence[Sequence[float]]) -> tuple[float, bool]:
    """The visibility at which identity is half of `clean`, and whether it ever is.

    `points` are (SSIMULACRA2, identity) at rising strengths; between two of them a straight line.
    """
    before = (UNCHANGED, clean)
    for score, identity in points:
        if identity <= HALF * clean:
            part = (before[1] - HALF * clean) / max(before[1] - identity, 1e-9)
            return before[0] + min(max(part, 0.0), 1.0) * (score - before[0]), True
        before = (score, identity)
    return before[0], False


def section(question: Question, found: dict[str, Any], picture: str) -> list[str]:
    """Text, table and plot of one question."""
    table: Table = [("method", "at half [95 %]", "never got there", *_strength_heads(question))]
    for method in question.methods:
        one = found["methods"][method.name]
        table.append(
            (
                method.name,
                _interval(one["at_half"]),
                f"{one['never']} of {found['photos']}" if one["never"] else "",
                *(
                    f"{number(s['visibility']['mean'], 0)} / {number(s['identity']['mean'])}"
                    for s in one["strengths"]
                ),
            )
        )
    photos = "1 photo" if found["photos"] == 1 else f"{found['photos']} photos"
    few = ": a direction, no more" if found["photos"] < FEW else ""
    return [
        f"## {question.title}",
        "",
        f"{photos}{few}. Edits of the photos themselves: identity "
        f"{_interval(found['original'], 2)}. The strengths, weakest first: SSIMULACRA2 / identity.",
        "",
        *to_markdown(table),
        "",
        f"![{question.title}](images/{picture})",
        "",
    ]


def draw(question: Question, found: dict[str, Any]) -> Any:
    """Identity against visibility: a line a method; further left and lower is better."""
    figure = new_figure(4.2)
    axes = figure.subplots()
    for method in question.methods:
        strengths = found["methods"][method.name]["strengths"]
        scores = [UNCHANGED, *(one["visibility"]["mean"] for one in strengths)]
        identities = [found["original"]["mean"], *(one["identity"]["mean"] for one in strengths)]
        axes.plot(scores, identities, marker="o", markersize=3, label=method.name)
    axes.axhline(HALF * found["original"]["mean"], color="#7a8087", linewidth=1, linestyle="--")
    axes.set_xlim(left=102, right=max(-50.0, axes.get_xlim()[0]))
    axes.set_xlabel(
        "SSIMULACRA2: the photo itself at the left; dashed: identity at half", wrap=True
    )
    axes.set_ylabel("identity in edits")
    axes.legend(frameon=False, fontsize=7)
    finish(axes, title=question.title)
    return figure


def _whole_photos(question: Question, rows: Sequence[Row]) -> list[str]:
    """Contents of photos that were edited in every version, and whose edits show the person."""
    names = {path.name for path in question.photos}
    keys = {ORIGINAL, *(one.key for method in question.methods for one in method.versions)}
    done: dict[str, set[str]] = {}
    for row in rows:
        if row["kind"] == "edit" and row["photo"] in names:
            done.setdefault(content_of(row), set()).add(row["protection"])
    return [
        photo
        for photo, versions in done.items()
        if keys <= versions and _identity(rows, photo, ORIGINAL) > 0
    ]


def _identity(rows: Sequence[Row], photo: str, version: str) -> float:
    """Mean over edits; 0 where no face is found."""
    values = [
        row["identity"]["sface"] or 0.0
        for row in rows
        if row["kind"] == "edit" and row["protection"] == version and content_of(row) == photo
    ]
    return float(np.mean(values))


def _score(rows: Sequence[Row], photo: str, version: str) -> float:
    return next(
        float(row["ssimulacra2"])
        for row in rows
        if row["kind"] == "protection" and row["protection"] == version and content_of(row) == photo
    )


def _said(values: Sequence[float], photos: Sequence[str]) -> dict[str, Any]:
    return summarise(values, photos).to_dict()


def _interval(found: dict[str, Any], digits: int = 0) -> str:
    summary = Summary(**found)
    if summary.low is None:
        return number(summary.mean, digits)
    interval = f"{number(summary.low, digits)}, {number(summary.high, digits)}"
    return f"{number(summary.mean, digits)} [{interval}]"


def _strength_heads(question: Question) -> list[str]:
    most = max(len(method.versions) for method in question.methods)
    return [str(place + 1) for place in range(most)]


__all__ = ["Method", "answer", "at_half", "write_documents"]
