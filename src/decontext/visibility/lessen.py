"""The least visible change for a wanted fall of attention, as a generator of steps.

After `pgd` on the way of the data, and like it handed functions of a picture: it knows no editor.
Within a budget every pixel moves as far as it may. Here one number is made small instead,

    visible distance + sum over kinds of copies of pressure * log(proportion),

by Adam on the layers of the change, while a cap bounds every pixel. A step looks at one copy; which
kind comes up, and how hard it presses against the distance, follows from how far it still is from
what is wanted of it (`demands.Demands`), so that one run ends at the wanted fall and no further.
Steps grow smaller on the way, but where less than half of it is made they begin again with large
ones: an editor may let a change pass unanswered until it is of a certain size. At the end the
change is judged on fixed draws, after rounding, and made weaker or stronger as a whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from decontext.errors import AttentionError
from decontext.notation import LEVELS
from decontext.pgd import Step, check_gradient, read_kept
from decontext.photo.levels import strips
from decontext.settings import USUAL_STEPS
from decontext.visibility.demands import Demands
from decontext.visibility.distance import VisibleDistance
from decontext.visibility.layers import Layers

MORE = 10
"""Steps after which it is asked again whether the wanted fall is reached, where it was not."""

FIRST_STEP, LAST_STEP = 0.2, 0.03
"""Of the units of `Layers`: change of a number in the first steps, and in the last."""

LEAST_GAIN, WINDOW = 0.03, 5
"""Where so many steps in turn reached all that was wanted, and the distance shrank by no more than
this part of it over them, the search ends."""

TRIALS, SLACK = 2, 0.015
"""Strengths of the change that are judged at the end, and how near to what is wanted is near
enough: a logarithm of a proportion."""

WARMING = 4
"""Steps over which the first ones grow, and to which they go back."""

_START_NOISE = 0.03  # units
_MEANS, _SQUARES = 0.9, 0.99  # what Adam keeps of its means in a step
_WEAKEST, _STRONGEST = 0.4, 1.5


def lessen(
    function: Callable[[Tensor, str], Tensor],
    original: Tensor,
    demands: Demands,
    *,
    judge: Callable[[Tensor], float],
    epsilon: float,
    steps: int,
    generator: torch.Generator,
    first: int = 0,
    shared_channels: bool = False,
    start: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Find the least visible change under which a function falls by a wanted part.

    Args:
        function: picture and kind of copy to scalar tensor above 0, differentiable.
        original: `(1, 3, height, width)` float32 in [0, 1], multiples of 1/255.
        demands: which kinds of copies there are, and what is wanted of each.
        judge: mean value of a picture as it was saved, on fixed draws, without gradient.
        epsilon: cap of the change of a colour value, a fraction of the full range.
        steps: at most; `USUAL_STEPS`, where the wanted fall is reached by then.
        generator: of the first, hardly measurable change, on the CPU.
        first: of `Layers`: how often the photo is halved for the finest of them.
        shared_channels: change the three channels alike, for a grey photo.
        start: a picture to go on from, in place of the original.

    Yields: a `Step` after every step.
    Returns: the last one's `best`, which is on whole levels and within the cap.
    Raises:
        AttentionError: no gradient, or one that is not finite.
    """
    began = time.perf_counter()
    start_value = judge(original)
    # Whole levels, as it will be saved.
    cap = math.floor(epsilon * LEVELS + 1e-6) / LEVELS
    search = _Search(original, cap, first=first, grey=shared_channels)
    search.begin(start, generator)
    planned, index, place, distances = min(USUAL_STEPS, steps), 0, 0, list[float]()
    while True:
        index, place = index + 1, place + 1
        kind = demands.draw()
        size = LAST_STEP + (FIRST_STEP - LAST_STEP) * left(place, planned)
        value, seen = search.step(function, kind, demands.weight, size)
        demands.learn(kind, value / start_value)
        at_aim = demands.reached and not demands.passed
        distances = [*distances, seen] if at_aim else []
        if place == planned // 2 and demands.far:
            place = min(WARMING, place)
        if place == planned and not demands.reached_as_saved:
            planned += MORE
        finished = (
            place == planned or index == steps or (place >= planned // 2 and _at_rest(distances))
        )
        best = (
            fit(search.picture, lambda image: judge(image) / start_value, demands)
            if finished
            else None
        )
        image = search.picture() if best is None else best[0]
        yield Step(
            index=index,
            steps=index if finished else min(index + planned - place, steps),
            value=value,
            start_value=start_value,
            best_value=start_value * (1.0 if best is None else best[1]),
            step_size=size,
            seconds=time.perf_counter() - began,
            image=image,
            kept=image,
            original=original,
        )
        if finished:
            return image
        del image  # A large photo's next step needs the memory.


def fit(
    picture: Callable[[float], Tensor], judge: Callable[[Tensor], float], demands: Demands
) -> tuple[Tensor, float]:
    """The picture whose change, made weaker or stronger as a whole, just reaches what is wanted.

    Returns it with its proportion as a part of the original's. The logarithm of a proportion goes
    about along a line with the change's strength: it is followed to where it is enough.
    """
    strengths, excesses = [0.0, 1.0], [demands.excess(1.0)]
    best, rank = (picture(1.0), math.inf), (math.inf, math.inf)
    for trial in range(TRIALS):
        image = picture(strengths[-1]) if trial else best[0]
        ratio = judge(image)
        excesses.append(demands.excess(ratio))
        # Those that reach are ranked by their strength, the others behind them.
        found = (max(excesses[-1], SLACK), strengths[-1])
        if found < rank:
            best, rank = (image, ratio), found
        if abs(excesses[-1]) <= SLACK:
            break
        strengths.append(_crossing(strengths[-2:], excesses[-2:]))
    return best


def _crossing(places: list[float], values: list[float]) -> float:
    """Where the line through two points is zero, within what a change may be made of."""
    slope = (values[1] - values[0]) / (places[1] - places[0])
    place = places[1] - values[1] / slope if slope < 0 else _STRONGEST
    return min(max(place, _WEAKEST), _STRONGEST)


def left(index: int, planned: int) -> float:
    """How much of the way from the first step size to the last is left: 1 to 0 along a cosine."""
    rising = min(1.0, index / WARMING)
    return rising * (1 + math.cos(math.pi * min(1.0, index / planned))) / 2


def _at_rest(distances: list[float]) -> bool:
    """Whether all that was wanted held for some steps, and the distance no longer shrank."""
    if len(distances) <= WINDOW:
        return False
    return distances[-1] > (1 - LEAST_GAIN) * distances[-1 - WINDOW]


class _Search:
    """The layers of the change, and what Adam remembers of their gradients."""

    def __init__(self, original: Tensor, cap: float, *, first: int, grey: bool) -> None:
        self.layers = Layers(original, first=first, grey=grey)
        self._distance = VisibleDistance(original, first=first)
        self._original, self._cap, self._count = original, cap, 0
        self._values: list[Tensor] = []

    def begin(self, start: Tensor | None, generator: torch.Generator) -> None:
        """From a picture, or from hardly measurable noise."""
        if start is None:
            self._values = self.layers.noise(_START_NOISE, generator)
        else:
            self._values = self.layers.of(read_kept(start) - self._original)
        self._means = [torch.zeros_like(value) for value in self._values]
        self._squares = [torch.zeros_like(value) for value in self._values]

    def step(
        self, function: Callable[[Tensor, str], Tensor], kind: str, weight: float, size: float
    ) -> tuple[float, float]:
        """One step down; the function's value and the visible distance before it."""
        for value in self._values:
            value.requires_grad_()
        with torch.enable_grad():
            change = self.layers.add(self._values)
            seen = self._distance.of_layers(change)
            result = function(self._saved(self.layers.spread(change)), kind)
            if not result.requires_grad:
                raise AttentionError(
                    "no gradient reaches the pixels; the function must depend on them."
                )
            (gradient,) = torch.autograd.grad(result.log(), change, retain_graph=True)
            check_gradient(gradient)
            gradient += torch.autograd.grad(weight * seen, change, retain_graph=True)[0]
            gradients = torch.autograd.grad(change, self._values, gradient)
        self._values = [value.detach() for value in self._values]
        self._descend(gradients, size)
        return float(result.detach()), float(seen.detach())

    @torch.no_grad()
    def picture(self, strength: float = 1.0) -> Tensor:
        """The picture as it will be saved: on whole levels, within the cap and within [0, 1]."""
        return self._saved(self.layers.spread(strength * self.layers.add(self._values)))

    def _saved(self, change: Tensor) -> Tensor:
        saved: Tensor = _Saved.apply(change, self._original, self._cap)  # type: ignore[no-untyped-call]
        return saved

    def _descend(self, gradients: Sequence[Tensor], size: float) -> None:
        """Kingma and Ba 2015, algorithm 1, in place."""
        self._count += 1
        size /= 1 - _MEANS**self._count
        for value, gradient, mean, square in zip(
            self._values, gradients, self._means, self._squares, strict=True
        ):
            mean.lerp_(gradient, 1 - _MEANS)
            square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
            usual = (square / (1 - _SQUARES**self._count)).sqrt_().add_(1e-12)
            value.addcdiv_(mean, usual, value=-size)


class _Saved(torch.autograd.Function):
    """Adds a change to the photo as it will be saved; the gradient passes as it is.

    It takes the memory of the change: of a large photo there is no other picture of its size here.
    """

    @staticmethod
    def forward(ctx: Any, change: Tensor, original: Tensor, cap: float) -> Tensor:
        ctx.mark_dirty(change)
        for rows in strips(change):
            part = change[..., rows, :]
            part.clamp_(-cap, cap).add_(original[..., rows, :])
            part.clamp_(0, 1).mul_(LEVELS).round_().div_(LEVELS)
        return change

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        return upstream[0], None, None
