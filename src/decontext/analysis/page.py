"""The page of an analysis: what was found, edits with and without the photo, then the plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from decontext.analysis import plots
from decontext.analysis.measure import MAP_SIGMAS
from decontext.analysis.results import SENSITIVITY_SIGMAS, Analysis, PhotoAnalysis
from decontext.evaluation.identity import THRESHOLD
from decontext.evaluation.tables import number_beside, percent
from decontext.objectives.sensitivity import LEAST_SHARE
from decontext.report import Figure, Row, Section
from decontext.report.plot import Plot, to_plot

SHOWN_EDITS = 2


def lead(analysis: Analysis) -> Iterator[str]:
    """What was found, in two sentences; said first by the page."""
    photos = analysis.photos
    before = sum(float(photo.before[-1].mean()) for photo in photos) / len(photos)
    after = sum(float(photo.after[-1].mean()) for photo in photos) / len(photos)
    yield (
        f"When an edit begins, {percent(before)} of the attention of the picture being made falls "
        f"on the photo; on the protected photo {percent(after)}."
    )
    chosen = " and ".join(dict.fromkeys(photo.chosen for photo in photos))
    yield f"A step over the blocks {chosen} brings most for its cost."


def build_sections(analysis: Analysis) -> list[Section]:
    """Edits without the photo, attention, gradients, and blocks."""
    photos = analysis.photos
    return [
        Section(
            "If the picture could not see the photo",
            texts=[
                "On the right edits with the attention from target to context cut "
                f"({analysis.cut}): what a perfect protection would do. Text tokens still see the "
                "photo."
            ],
            rows=[_edit_row(photo, number) for photo in photos for number in range(SHOWN_EDITS)],
        ),
        _map_section(analysis),
        Section(
            "When the editor listens to the photo",
            texts=[
                "Mean absolute gradient of the flow-matching loss of keeping the photo, with "
                "respect to the noisy target latents and to the photo's latents. Both follow the "
                "size of the loss; their shares tell from where the editor takes what it draws."
            ],
            rows=[Row([_gradient_plot(photo) for photo in photos], shape="plots")],
        ),
        Section(
            "Which blocks are worth it",
            texts=[
                "What a step over some blocks is expected to bring over all blocks, to first "
                "order, for a step of one level, and what it costs in operations. --blocks auto "
                "takes the first blocks that bring most for their cost, of those that bring at "
                f"least {LEAST_SHARE:g} of the best."
            ],
            rows=[Row([_worth_plot(photo) for photo in photos], shape="plots")],
        ),
        Section("Blocks in numbers", table=_worth_table(photos), folded=True),
    ]


def _map_section(analysis: Analysis) -> Section:
    before = torch.stack([photo.before for photo in analysis.photos]).mean(0)
    after = torch.stack([photo.after for photo in analysis.photos]).mean(0)
    drawn = plots.draw_maps(before, after, MAP_SIGMAS, analysis.block_names)
    alt = (
        f"Three maps by noise level and block. The original: {before.min():.2f} to "
        f"{before.max():.2f}; the protected photo: {after.min():.2f} to {after.max():.2f}."
    )
    return Section(
        "Attention on the photo, by block and noise level",
        texts=[
            "Part of the target queries' attention that falls on the photo, mean over photos "
            "and draws. An edit begins at noise level 1."
        ],
        rows=[Row([to_plot(drawn, alt=alt)], shape="plots")],
    )


def _gradient_plot(photo: PhotoAnalysis) -> Plot:
    shares = photo.gradients.shares
    alt = (
        f"{photo.name}: the photo's share of the gradient is {percent(shares[0])} at noise level "
        f"{photo.gradients.sigmas[0]:g} and {percent(shares[-1])} at {photo.gradients.sigmas[-1]:g}"
    )
    return to_plot(plots.draw_gradients(photo.gradients), caption=photo.name, alt=alt)


def _worth_plot(photo: PhotoAnalysis) -> Plot:
    best = max(photo.singles, key=lambda worth: worth.fall)
    alt = (
        f"{photo.name}: of single blocks {best.name} brings most; --blocks auto chooses "
        f"{photo.chosen}"
    )
    drawn = plots.draw_worths(photo.singles, photo.prefixes, photo.chosen)
    return to_plot(drawn, caption=photo.name, alt=alt)


def _edit_row(photo: PhotoAnalysis, number: int) -> Row:
    reference, values = photo.references[number], photo.similarities[number]
    shown = (
        (reference.of_original, "edit of the photo"),
        (reference.of_protected, "edit of the protected photo"),
        (reference.without, "edit that cannot see the photo"),
    )
    figures = [
        Figure(
            picture,
            f"{caption}: {_judge(value)}" if _was_measured(photo) else caption,
            alt=f"{photo.name}, “{reference.instruction}”: {caption}",
        )
        for (picture, caption), value in zip(shown, values, strict=True)
    ]
    return Row(figures, title=f"{photo.name}: “{reference.instruction}”", shape="three")


def _was_measured(photo: PhotoAnalysis) -> bool:
    return any(value is not None for values in photo.similarities for value in values)


def _judge(value: float | None) -> str:
    if value is None:
        return "no face found"
    who = "the same person" if value >= THRESHOLD else "another face"
    return f"{number_beside(value, THRESHOLD)} {who}"


def _worth_table(photos: Sequence[PhotoAnalysis]) -> list[tuple[str, ...]]:
    """Every set of blocks: cost, and mean fall over photos by noise level."""
    head = ("blocks", "cost", *(f"fall at {sigma:g}" for sigma in SENSITIVITY_SIGMAS), "per cost")
    rows = [head]
    for sets in zip(*((*photo.singles, *photo.prefixes) for photo in photos), strict=True):
        falls = [sum(values) / len(sets) for values in zip(*(s.falls for s in sets), strict=True)]
        cost = sets[0].cost
        per_cost = sum(falls) / len(falls) / cost
        percent = (f"{100 * fall:.2f} %" for fall in falls)
        rows.append((sets[0].name, f"{cost:.2f}", *percent, f"{100 * per_cost:.2f} %"))
    return rows
