"""The least visible change for a wanted fall of attention, as a generator of steps.

After `pgd` on the way of the data, and like it handed functions of a picture: it knows no editor.
Within a budget every pixel moves as far as it may. Here one number is made small instead,

    log(context proportion) + weight * visible distance,

by Adam, while a cap bounds every pixel. The weight is no setting: it falls while the proportion is
above what is wanted and rises below it, so that one run ends at the wanted fall and no further.
What counts is judged on fixed draws, after rounding; at the end the change is made smaller, or
stronger, as a whole until it just reaches what was wanted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from decontext.errors import AttentionError
from decontext.pgd import Step, check_gradient, read_kept

LEVEL = 1 / 255
FIRST_STEP, LAST_STEP = 2 * LEVEL, 0.3 * LEVEL
"""Change of a colour value in the first steps, and in the last."""

FIRST_WEIGHT = 0.15
WEIGHT_ANSWER, WEIGHT_GAIN, MOST_EXCESS = 1.0, 0.1, 0.7
"""Of the visible distance. What counts is the logarithm of the proportion over what is wanted, up
to a bound: the weight answers to it at once, and changes by a part of it for good in each step."""

AIM = 0.97
"""Of the wanted proportion: the search aims a little lower, or every other check would fail."""

CHECK_EVERY = 10
LEAST_GAIN, PATIENCE = 0.03, 2
"""After so many checks in which the wanted fall held, and the distance shrank by no more than this
part of it, the search ends."""

_START_NOISE = 1 * LEVEL
_MEANS, _SQUARES = 0.9, 0.99  # what Adam keeps of its means in a step
_KEPT = 0.8  # of the running proportion
_SCALES = (0.6, 1.6)
_HALVINGS = 4


class _Judged:
    """The best change so far: the least visible one that reaches the wanted proportion.

    Until one does, the one of the lowest proportion.
    """

    def __init__(self, original: Tensor, value: float, wanted: float) -> None:
        self.image, self.value, self.distance = original, value, math.inf
        self._wanted = wanted

    @property
    def reached(self) -> bool:
        return self.value <= self._wanted

    def offer(self, image: Tensor, value: float, distance: float) -> bool:
        """Keep this picture if it is better; whether it reaches what is wanted."""
        reached = value <= self._wanted
        better = distance < self.distance if reached and self.reached else value < self.value
        if better:
            self.image, self.value, self.distance = image, value, distance
        return reached


def lessen(
    function: Callable[[Tensor], Tensor],
    original: Tensor,
    distance: Callable[[Tensor], Tensor],
    *,
    fall: float,
    epsilon: float,
    steps: int,
    generator: torch.Generator,
    shared_channels: bool = False,
    check: Callable[[Tensor], Tensor] | None = None,
    start: Tensor | None = None,
) -> Iterator[Step]:
    """Find the least visible change under which a function falls by a wanted part.

    Args:
        function: picture to scalar tensor above 0, differentiable, with random draws.
        original: `(1, 3, height, width)` float32 in [0, 1], multiples of 1/255.
        distance: change of a picture, of its shape, to a scalar tensor, differentiable.
        fall: by what part the check is to fall from its value at the original, (0, 1).
        epsilon: cap of the change of a colour value, a fraction of the full range.
        steps: at most; the search ends before where the wanted fall holds and the distance no
            longer shrinks.
        generator: of the first, hardly measurable change, on the CPU.
        shared_channels: change the three channels alike, for a grey photo.
        check: picture to scalar tensor, run without gradient, its draws fixed; `function` if None.
        start: a picture to go on from, in place of the original.

    Yields: a `Step` after every step. `best` is on whole levels and within the cap.
    Raises:
        AttentionError: no gradient, or one that is not finite.
    """
    began = time.perf_counter()
    judge = check or function
    start_value = _judge(judge, original)
    wanted = (1 - fall) * start_value
    best = _Judged(original, start_value, wanted)
    # Two in the midst of which a level lies: the cap on whole levels, as it will be saved.
    cap = math.floor(epsilon / LEVEL + 1e-6) * LEVEL
    first = _first_change(original, generator) if start is None else read_kept(start) - original
    search = _Search(first[:, :1].clone() if shared_channels else first, cap)
    running, offset, idle = start_value, 0.0, 0
    weight = usual_weight = FIRST_WEIGHT
    for index in range(1, steps + 1):
        value = search.step(function, distance, original, weight)
        running = running**_KEPT * max(value, 1e-9) ** (1 - _KEPT) if index > 1 else value
        excess = math.log(running / (AIM * wanted)) + offset
        bounded = min(max(excess, -MOST_EXCESS), MOST_EXCESS)
        usual_weight *= math.exp(-WEIGHT_GAIN * bounded)
        weight = usual_weight * math.exp(-WEIGHT_ANSWER * bounded)
        search.slow_down(excess <= 0, index / steps)
        finished = index == steps
        if index % CHECK_EVERY == 0 or finished:
            picture = _rounded(original, search.change, cap)
            checked = _judge(judge, picture)
            # The draws of the steps are other ones, and prefer the worst copies.
            offset = math.log(checked / running)
            seen = _measure(distance, picture - original)
            before = best.distance
            reached = best.offer(picture, checked, seen)
            gained = best.distance < (1 - LEAST_GAIN) * before
            idle = idle + 1 if reached and not gained else 0
            finished = finished or idle == PATIENCE
        if finished:
            _fit(best, judge, distance, original, search.change, cap)
        yield Step(
            index=index,
            steps=index if finished else steps,
            value=value,
            start_value=start_value,
            best_value=best.value,
            step_size=search.size,
            seconds=time.perf_counter() - began,
            image=_rounded(original, search.change, cap),
            kept=best.image,
            original=original,
        )
        if finished:
            return


class _Search:
    """The change being optimised, and what Adam remembers of its gradients."""

    def __init__(self, change: Tensor, cap: float) -> None:
        self.change, self.size = change, FIRST_STEP
        self._cap, self._count = cap, 0
        self._mean, self._square = torch.zeros_like(change), torch.zeros_like(change)

    def step(
        self,
        function: Callable[[Tensor], Tensor],
        distance: Callable[[Tensor], Tensor],
        original: Tensor,
        weight: float,
    ) -> float:
        """One step down; the value of the function before it."""
        change = self.change.requires_grad_()
        with torch.enable_grad():
            value = function(_round_through((original + change).clamp(0, 1)))
            if not value.requires_grad:
                raise AttentionError(
                    "no gradient reaches the pixels; the function must depend on them."
                )
            (gradient,) = torch.autograd.grad(value.log(), change)
            check_gradient(gradient)
            seen = weight * distance(change.expand_as(original))
            gradient = gradient + torch.autograd.grad(seen, change)[0]
        self.change = change.detach()
        self._descend(gradient)
        return float(value.detach())

    def slow_down(self, reached: bool, progress: float) -> None:
        """Smaller steps from where the wanted fall is reached on, and towards the last step."""
        left = (1 + math.cos(math.pi * progress)) / 2
        size = self.size * (0.97 if reached else 1.0)
        self.size = min(size, LAST_STEP + (FIRST_STEP - LAST_STEP) * left)
        self.size = max(self.size, LAST_STEP)

    def _descend(self, gradient: Tensor) -> None:
        """Kingma and Ba 2015, algorithm 1, in place."""
        self._count += 1
        self._mean.lerp_(gradient, 1 - _MEANS)
        self._square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
        usual = (self._square / (1 - _SQUARES**self._count)).sqrt_().add_(1e-12)
        size = self.size / (1 - _MEANS**self._count)
        self.change.addcdiv_(self._mean, usual, value=-size).clamp_(-self._cap, self._cap)


def _fit(
    best: _Judged,
    judge: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor], Tensor],
    original: Tensor,
    change: Tensor,
    cap: float,
) -> None:
    """Try the last change weaker or stronger as a whole: the weakest that reaches is wanted."""
    low, high = (_SCALES[0], 1.0) if best.reached else (1.0, _SCALES[1])
    for _ in range(_HALVINGS):
        scale = (low + high) / 2
        picture = _rounded(original, scale * change, cap)
        reached = best.offer(
            picture, _judge(judge, picture), _measure(distance, picture - original)
        )
        low, high = (low, scale) if reached else (scale, high)


def _first_change(pixels: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.empty(pixels.shape, dtype=pixels.dtype)
    return noise.uniform_(-_START_NOISE, _START_NOISE, generator=generator).to(pixels.device)


def _round_through(image: Tensor) -> Tensor:
    """To whole levels, as it will be saved; the gradient passes as if nothing were rounded."""
    return image + (torch.round(image.detach() * 255) / 255 - image.detach())


def _rounded(original: Tensor, change: Tensor, cap: float) -> Tensor:
    """The picture as it will be saved: on whole levels, within the cap and within [0, 1]."""
    picture = (original + change.clamp(-cap, cap)).clamp_(0, 1)
    return picture.mul_(255).round_().div_(255)


@torch.no_grad()
def _judge(check: Callable[[Tensor], Tensor], image: Tensor) -> float:
    return float(check(image))


@torch.no_grad()
def _measure(distance: Callable[[Tensor], Tensor], change: Tensor) -> float:
    return float(distance(change))
