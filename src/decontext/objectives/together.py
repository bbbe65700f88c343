"""The objectives of several editors as one, so that no editor is left behind.

Editors differ in how large their proportion and its gradient are. Each proportion counts as a part
of what the original shows; each gradient is brought to one size, and the editor that still sees
most of the photo pulls hardest. A picture is judged by the editor it does worst against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.objectives.build import build_objective
from decontext.objectives.draws import CHECK_SEED, Objective
from decontext.settings import ProtectSettings

FIRST_DRAWS = 4
"""Draws that an editor's proportion of the original is the mean of."""

SHARPNESS = 4.0
"""An editor pulls by this power of the part that is left: by twice as much, 16 times as hard."""

_MEMORY = 0.7
"""Of the part that is left, in each step."""


def build_each(
    crew: Crew,
    photo: Tensor,
    settings: Sequence[ProtectSettings],
    *,
    samples: int | None = None,
) -> list[Objective]:
    """The objective of every editor, by its own settings; see `build_objective`."""
    objectives = []
    for editor, own in zip(crew, settings, strict=True):
        objective = build_objective(crew.turn(editor), photo, own, samples=samples)
        objectives.append(_in_turn(crew, editor, objective))
    return objectives


def _in_turn(crew: Crew, editor: Editor, objective: Objective) -> Objective:
    """The objective of one editor, which has the device to itself where they take turns."""

    def call(image: Tensor, generator: torch.Generator) -> Tensor:
        crew.turn(editor)
        return objective(image, generator)

    return call


class Together:
    """Several objectives as one: `objective(image, generator)`, differentiable in the image.

    Its value is the mean part that is left of what the original shows, by how hard each pulls,
    times the mean of the originals. Only one editor's graph exists at a time.
    """

    def __init__(self, objectives: Sequence[Objective], original: Tensor) -> None:
        self._objectives = tuple(objectives)
        self._first = [_mean_of(objective, original) for objective in objectives]
        self._scale = sum(self._first) / len(self._first)
        self._left = [1.0] * len(self._first)

    @property
    def pull(self) -> list[float]:
        """How hard each pulls; the sum is 1."""
        powers = [left**SHARPNESS for left in self._left]
        return [power / sum(powers) for power in powers]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        if not (torch.is_grad_enabled() and image.requires_grad):
            values = [float(objective(image, generator)) for objective in self._objectives]
            return image.new_tensor(self._combine(values))
        values, slopes = [], []
        for objective in self._objectives:
            seen = image.detach().requires_grad_()
            value = objective(seen, generator)
            (gradient,) = torch.autograd.grad(value, seen)
            values.append(float(value.detach()))
            slopes.append(gradient / max(values[-1], 1e-12))  # that of the logarithm
        for index, found in enumerate(values):
            left = max(found / self._first[index], 1e-3)
            self._left[index] = self._left[index] ** _MEMORY * left ** (1 - _MEMORY)
        combined = self._combine(values)
        gradient = combined * _join(slopes, self.pull)
        known: Tensor = _Known.apply(image, combined, gradient)  # type: ignore[no-untyped-call]
        return known

    def _combine(self, values: Sequence[float]) -> float:
        parts = zip(self.pull, values, self._first, strict=True)
        return self._scale * sum(pull * value / first for pull, value, first in parts)


def worst_of(checks: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    """One check of a picture: by the editor that it does worst against.

    The first picture it is given is the original: what a check says of another one counts as a
    part of what it said of that.
    """
    if len(checks) == 1:
        return checks[0]
    first: list[float] = []

    def check(image: Tensor) -> Tensor:
        values = [float(one(image)) for one in checks]
        if not first:
            first.extend(values)
        worst = max(value / start for value, start in zip(values, first, strict=True))
        return torch.tensor(worst * sum(first) / len(first))

    return check


def together(objectives: Sequence[Objective], original: Tensor) -> Objective:
    """One objective as it is, several as one."""
    return objectives[0] if len(objectives) == 1 else Together(objectives, original)


def _join(slopes: Sequence[Tensor], pull: Sequence[float]) -> Tensor:
    """Gradients of one size, weighted; the result has the mean size."""
    sizes = [float(slope.abs().mean()) for slope in slopes]
    total = torch.zeros_like(slopes[0])
    for slope, size, weight in zip(slopes, sizes, pull, strict=True):
        total.add_(slope, alpha=weight / max(size, 1e-20))
    return total * sum(size * weight for size, weight in zip(sizes, pull, strict=True))


@torch.no_grad()
def _mean_of(objective: Objective, original: Tensor) -> float:
    draws = torch.Generator().manual_seed(CHECK_SEED)
    values = [float(objective(original, draws)) for _ in range(FIRST_DRAWS)]
    return max(sum(values) / len(values), 1e-12)


class _Known(torch.autograd.Function):
    """A value whose gradient to the picture is known already."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, value: float, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return image.new_tensor(value)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None
