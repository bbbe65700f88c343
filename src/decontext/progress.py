"""How far a run is, in one count from loading to saving, and how it is stopped from outside."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from torch import Tensor

from decontext.errors import CancelledError
from decontext.pgd import Step

Stage = Literal["loading", "preparing", "optimising", "measuring", "saving"]

STEP = 3
"""A step counts as three passes: one forward, and backward as much as two."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: what is being done.
        done: how much of `total` is done, counted in passes of the editor.
        total: of the whole run; it grows where more steps are needed than were planned.
        message: in words for people.
    """

    stage: Stage
    done: int
    total: int
    message: str


OnProgress = Callable[[Progress], None]
OnStep = Callable[[Step], None]
OnMeasure = Callable[[int, int], None]
"""Called with (passes done, passes in all)."""


class IsSet(Protocol):
    """What a `threading.Event` is here."""

    def is_set(self) -> bool: ...


Cancel = IsSet | Callable[[], bool]
"""Says whether to stop; asked after each step and each measured pass."""


class Meter:
    """Counts a run for whoever watches it, and stops it where that was asked for."""

    def __init__(
        self,
        *,
        steps: int,
        passes: int,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        on_step: OnStep | None = None,
        on_measure: OnMeasure | None = None,
    ) -> None:
        """`steps` are planned, and so many `passes` to measure after them."""
        self._steps, self._passes = steps, passes
        self._on_progress, self._cancel = on_progress, cancel
        self._on_step, self._on_measure = on_step, on_measure
        self._stepped = self._measured = self._measuring = 0

    def enter(self, stage: Stage, message: str) -> None:
        """A stage begins. Raises: CancelledError."""
        done = STEP * self._stepped + self._measured + self._measuring
        total = STEP * self._steps + self._measured + max(self._passes, self._measuring)
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, max(done, total), message))
        if self._cancel is not None:
            asked = self._cancel() if callable(self._cancel) else self._cancel.is_set()
            if asked:
                raise CancelledError("stopped, as was asked; nothing was written.")

    def stepped(self, step: Step) -> None:
        """After each step; steps after a measurement are more than was planned."""
        going_on = self._measured + self._measuring > 0
        self._measured, self._measuring = self._measured + self._measuring, 0
        self._stepped, self._steps = step.index, step.steps
        if self._on_step is not None:
            self._on_step(step)
        text = f"step {step.index} of {step.steps}: {step.start_value:.3f}, now {step.value:.3f}"
        self.enter("optimising", f"not strong yet, going on; {text}" if going_on else text)

    def measured(self, done: int, total: int) -> None:
        """After each measured pass of a measurement of `total`."""
        self._measuring, self._passes = done, total
        if self._on_measure is not None:
            self._on_measure(done, total)
        self.enter("measuring", f"pass {done} of {total}")


def share(on_measure: OnMeasure | None, parts: int) -> list[OnMeasure | None]:
    """One count for each of several measurements that are as long as each other."""
    if on_measure is None or parts == 1:
        return [on_measure] * parts

    def part(index: int) -> OnMeasure:
        return lambda done, total: on_measure(index * total + done, parts * total)

    return [part(index) for index in range(parts)]


class Counter:
    """Counts steps from the first of the run, and passes them on."""

    def __init__(self, on_step: OnStep | None, before: int) -> None:
        self.done, self._before, self._on_step = before, before, on_step

    def __call__(self, step: Step) -> None:
        self.done = step.index + self._before
        if self._on_step is not None:
            self._on_step(replace(step, index=self.done, steps=step.steps + self._before))


def drain(steps: Generator[Step, None, Tensor], on_step: OnStep | None = None) -> Tensor:
    """Run the steps of a photo to their end and return the protected picture."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            image: Tensor = stop.value
            return image
        if on_step is not None:
            on_step(step)
        del step  # It holds a large photo's iterate.
