"""The report of an evaluation: what was found in sentences, pictures, then plots and tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from decontext.evaluation import charts
from decontext.evaluation.figures import Figures
from decontext.evaluation.page_pictures import picture_sections
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import Row as ResultRow
from decontext.evaluation.sentences import tell_findings
from decontext.evaluation.tables import (
    drop_empty,
    fidelity_table,
    identity_table,
    number,
    percent,
    photo_table,
    prompt_table,
    transform_table,
)
from decontext.photo.files import write_whole
from decontext.report import Row, Section, build_page
from decontext.report.plot import to_plot

PAGE = "index.html"


def write_page(rows: list[ResultRow], folder: Path, photos: tuple[Path, ...]) -> Path:
    """Write `index.html` into the folder of an evaluation and return its path.

    `photos` are the originals, for their pictures.

    Raises:
        InputError: it cannot be written, or the extra `eval` is not installed.
    """
    figures = Figures(rows)
    sections = [
        *_failure_section(figures),
        *picture_sections(figures, folder, photos),
        *_number_sections(figures),
    ]
    content = build_page(figures.title, figures.statement, sections, lead=tell_findings(figures))
    path = folder / PAGE
    write_whole(content.encode(), path)
    return path


def _failure_section(figures: Figures) -> Iterator[Section]:
    failed = figures.failed()
    if failed:
        yield Section("What failed", texts=failed)


def _number_sections(figures: Figures) -> Iterator[Section]:
    yield _identity_section(figures)
    protected = [key for key in figures.labels if key not in (ORIGINAL, CUT)]
    if len(figures.transforms) > 1 and protected:
        yield from _transform_sections(figures, protected)
    yield Section(
        "What does the photo look like, and the edit?",
        texts=[
            "Distance of the protected photo from the original; blur (0 sharp, 1 nothing left) "
            "and noise (levels) of edits: a protection that only spoils pictures shows here."
        ],
        table=drop_empty(fidelity_table(figures)),
        folded=True,
    )
    yield Section("By instruction", table=prompt_table(figures), folded=True)
    yield Section("All photos", table=photo_table(figures), folded=True)


def _identity_section(figures: Figures) -> Section:
    thresholds, name = figures.heading["thresholds"], figures.recognisers[0]
    identities = {label: figures.identity(key) for key, label in figures.labels.items()}
    plot = charts.draw_bars(
        identities,
        title="how much edits show the person",
        label=f"{name}; dashed: same person from here",
        line=thresholds[name],
    )
    means = "; ".join(f"{label} {number(value.mean)}" for label, value in identities.items())
    said = ", ".join(f"{name} from {number(value, 3)}" for name, value in thresholds.items())
    kind = (
        " after what all rendered people share is subtracted" if figures.heading["rendered"] else ""
    )
    return Section(
        "Who do edits show?",
        texts=[
            f"Similarity of every edit to the person of the original photo{kind}; the same "
            f"person: {said}. Lower protects better. Worst is the edit that shows the person "
            "most; where no face is found, the person counts as not shown. In brackets the 95 % "
            "interval, n is the number of photos it is drawn from."
        ],
        table=identity_table(figures),
        rows=[Row([to_plot(plot, alt=f"Bars, mean similarity: {means}")], shape="plots")],
    )


def _transform_sections(figures: Figures, protected: list[str]) -> Iterator[Section]:
    """A plot of what is kept of all protections, and a table for each."""
    after = [name for name in figures.transforms if name != NONE]
    kept = {figures.labels[key]: [figures.kept(key, name) for name in after] for key in protected}
    plot = charts.draw_groups(
        after,
        kept,
        title="what a transform leaves of the drop of identity",
        label="part that is left; dashed: all of it",
        line=1.0,
    )
    said = "; ".join(
        f"{label}: " + ", ".join(f"{n} {percent(v)}" for n, v in zip(after, values, strict=True))
        for label, values in kept.items()
    )
    yield Section(
        "What survives?",
        texts=[
            "The part of the drop of identity that is left after a transform, against edits of "
            "the original after the same transform; nothing is drawn where there was no drop."
        ],
        rows=[Row([to_plot(plot, alt=f"Bars, part that is left. {said}")], shape="plots")],
    )
    for key in protected:
        yield Section(
            f"After each transform: {figures.labels[key]}",
            table=drop_empty(transform_table(figures, key)),
            folded=True,
        )
