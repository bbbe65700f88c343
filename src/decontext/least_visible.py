"""The least visible change of a photo: its proportion, its published copies and its distance.

Between the objectives and `protect` on the way of the data: what `visibility.lessen` is handed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from decontext.objectives import CHECK_SEED, Objective, worst_of
from decontext.pgd import Step
from decontext.photo.images import Photo
from decontext.publishing.copies import (
    ALLOWANCE,
    BOUNDS,
    USUAL_ALLOWANCE,
    draw_copy,
    kinds_of,
    pressure_of,
)
from decontext.settings import ProtectSettings
from decontext.visibility.demands import MOST_PRESSURE, Demand, Demands
from decontext.visibility.layers import first_layer, times_as_long
from decontext.visibility.lessen import lessen

JUDGED_DRAWS = 5
"""Passes by which a picture is judged: instructions differ in how far attention falls."""


def least_visible_steps(
    photo: Photo,
    settings: ProtectSettings,
    *,
    proportion: Objective,
    judged_proportions: Sequence[Objective],
    saving: Callable[[Tensor], Tensor],
    sizes: Sequence[tuple[int, int]],
    generator: torch.Generator,
    start: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Search for the least visible change that makes the wanted fall, in the worst copies too.

    A step looks at one published copy of the photo. Yields the steps and returns the picture, which
    is on whole levels and within the cap.

    Args:
        proportion: what a step lowers.
        judged_proportions: of each editor, with one draw for each call, for the judgements; the
            editor that the picture does worst against counts.
        saving: what the file format does to a picture.
        sizes: at which the editor sees the photo, `(width, height)`.
        generator: of the copies, the draws and the first change.
        start: a picture found before, to go on from.
    """

    def expect(image: Tensor, kind: str) -> Tensor:
        copy = draw_copy(kind, settings.robust, photo.size, generator)
        return proportion(copy(saving(image), generator), generator)

    search = lessen(
        expect,
        photo.pixels,
        build_demands(settings, times_as_long(photo.size, sizes)),
        judge=least_judge(judged_proportions, saving),
        epsilon=settings.budget,
        steps=settings.steps,
        generator=generator,
        first=first_layer(photo.size, sizes),
        shared_channels=photo.is_grey,
        start=start,
    )
    return (yield from search)


def least_judge(
    proportions: Sequence[Objective], saving: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], float]:
    """What judges a picture: its mean proportion as saved, of the editor it does worst against."""
    worst = worst_of([_Judge(one, saving) for one in proportions])
    return lambda image: float(worst(image))


def build_demands(settings: ProtectSettings, ratio: float) -> Demands:
    """What the settings want of each kind of copy of a photo, `ratio` times as long as seen."""
    kinds = kinds_of(settings.robust, ratio)
    return Demands({kind: demand_of(kind, settings.wanted_fall, ratio) for kind in kinds})


def demand_of(kind: str, fall: float, ratio: float) -> Demand:
    """What one kind of copy is to show, and how hard it presses at first and at most."""
    most = min(ALLOWANCE.get(kind, USUAL_ALLOWANCE) * (1 - fall), 0.95)
    return Demand(most, pressure_of(kind, ratio), BOUNDS.get(kind, MOST_PRESSURE))


class _Judge:
    """The mean proportion of a picture as it was saved, on fixed draws."""

    def __init__(self, proportion: Objective, saving: Callable[[Tensor], Tensor]) -> None:
        self._proportion, self._saving = proportion, saving

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        draws, saved = torch.Generator().manual_seed(CHECK_SEED), self._saving(image)
        values = [float(self._proportion(saved, draws)) for _ in range(JUDGED_DRAWS)]
        return torch.tensor(statistics.fmean(values), dtype=torch.float64)
