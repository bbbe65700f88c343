"""The page of an analysis: four sections, each with a plot or pictures and how to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from decontext.analysis import plots
from decontext.analysis.measure import MAP_SIGMAS
from decontext.analysis.results import SENSITIVITY_SIGMAS, Analysis, PhotoAnalysis
from decontext.objectives.sensitivity import LEAST_SHARE
from decontext.report import Figure, Section


def build_sections(analysis: Analysis) -> list[Section]:
    """Attention, gradients, edits without the photo, and blocks."""
    photos, names = analysis.photos, analysis.block_names
    before = torch.stack([photo.before for photo in photos]).mean(0)
    after = torch.stack([photo.after for photo in photos]).mean(0)
    maps = plots.draw_maps(before, after, MAP_SIGMAS, names)
    return [
        Section(
            "Attention on the photo, by block and noise level",
            text="Part of the target queries' attention that falls on the photo, mean over photos "
            "and draws. An edit begins at noise level 1.",
            rows=[[_plot(maps, "context proportion")]],
        ),
        Section(
            "When the editor listens to the photo",
            text="Mean absolute gradient of the flow-matching loss of keeping the photo, with "
            "respect to the noisy target latents and to the photo's latents. Both follow the size "
            "of the loss; their shares tell from where the editor takes what it draws.",
            rows=[
                [_plot(plots.draw_gradients(photo.gradients), photo.name) for photo in photos],
            ],
        ),
        Section(
            "If the picture could not see the photo",
            text=f"Edits with the attention from target to context cut ({analysis.cut}): what a "
            "perfect protection would do. Text tokens still see the photo.",
            rows=[_edit_row(photo, number) for photo in photos for number in range(2)],
        ),
        Section(
            "Which blocks are worth it",
            text="What a step over some blocks is expected to bring over all blocks, to first "
            "order, and what it costs in operations. --blocks auto takes the first blocks that "
            f"bring most for their cost, of those that bring at least {LEAST_SHARE:g} of the best.",
            rows=[
                [_plot(plots.draw_worths(photo.singles, photo.prefixes, photo.chosen), photo.name)]
                for photo in photos
            ],
            table=_worth_table(photos),
        ),
    ]


def _plot(figure: Any, caption: str) -> Figure:
    return Figure(plots.to_picture(figure), caption, wide=True)


def _edit_row(photo: PhotoAnalysis, number: int) -> list[Figure]:
    reference, values = photo.references[number], photo.similarities[number]
    shown = (
        (reference.of_original, "edit of the original"),
        (reference.of_protected, "edit of the protected photo"),
        (reference.without, "edit that cannot see the photo"),
    )
    return [Figure(photo.original, f"{photo.name}: {reference.instruction}")] + [
        Figure(picture, caption if value is None else f"{caption}; likeness {value:.2f}")
        for (picture, caption), value in zip(shown, values, strict=True)
    ]


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
