"""The least visible change of a photo: its proportion, its published copies and its distance.

Between the objectives and `protect` on the way of the data: what `visibility.lessen` is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from decontext.objectives import CHECK_SEED, Objective
from decontext.pgd import Step
from decontext.photo.images import Photo
from decontext.publishing.copies import ALLOWANCE, Copies, judged_copies
from decontext.publishing.transforms import Transform, parse_transform
from decontext.settings import ProtectSettings
from decontext.visibility.distance import VisibleDistance
from decontext.visibility.lessen import lessen

AS_IT_IS = parse_transform("none")
DRAWS_AS_SAVED, DRAWS_OF_A_COPY = 4, 1
"""Passes by which the photo as it was saved is judged, and each kind of published copy."""


def least_visible_steps(
    photo: Photo,
    settings: ProtectSettings,
    *,
    proportion: Objective,
    judged_proportion: Objective,
    saving: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    start: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Search for the least visible change that makes the wanted fall, mostly in the worst copies.

    A step looks at one published copy of the photo. What counts is the fall as it was saved, and
    the mean fall of its copies, which may show half as much again (`copies.ALLOWANCE`): the worse
    of the two, on fixed draws. Yields the steps and returns the picture, which is on whole levels
    and within the cap.

    Args:
        proportion: what a step lowers.
        judged_proportion: the same with one draw for each call, for the judgements.
        saving: what the file format does to a picture.
        generator: of the copies, the draws and the first change.
        start: a picture found before, to go on from.
    """
    original, copies = photo.pixels, Copies(settings.robust, photo.size)
    check = _Judgement(judged_copies(settings.robust, photo.size), judged_proportion, saving)

    def expect(image: Tensor) -> Tensor:
        copy = copies.draw(generator)
        value = proportion(copy(saving(image), generator), generator) / copies.allowance
        copies.learn(float(value.detach()))
        return value

    for step in lessen(
        expect,
        original,
        VisibleDistance(original),
        fall=settings.wanted_fall,
        epsilon=settings.budget,
        steps=settings.steps,
        generator=generator,
        shared_channels=photo.is_grey,
        check=check,
        start=start,
    ):
        yield step
    return step.best


class _Judgement:
    """What a picture still shows: as it was saved, or in its copies where that is worse.

    The first picture it is given is the original: each draw is compared with the same one there.
    """

    def __init__(
        self,
        published: Sequence[Transform],
        proportion: Objective,
        saving: Callable[[Tensor], Tensor],
    ) -> None:
        self._copies = (AS_IT_IS,) * DRAWS_AS_SAVED + tuple(published) * DRAWS_OF_A_COPY
        self._proportion, self._saving = proportion, saving
        self._first: Tensor | None = None

    def __call__(self, image: Tensor) -> Tensor:
        draws, saved = torch.Generator().manual_seed(CHECK_SEED), self._saving(image)
        values = torch.stack([self._proportion(copy(saved, draws), draws) for copy in self._copies])
        if self._first is None:
            self._first = values
        ratios = values / self._first
        worse = ratios[:DRAWS_AS_SAVED].mean()
        if len(ratios) > DRAWS_AS_SAVED:
            worse = torch.maximum(worse, ratios[DRAWS_AS_SAVED:].mean() / ALLOWANCE)
        return worse * self._first[:DRAWS_AS_SAVED].mean()
