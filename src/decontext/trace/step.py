"""One gradient step of an editor in its published size, followed on torch's meta device.

The objective, the editor and the way the weights are held are the real ones; only the numbers are
missing. What the step took is set beside what the plan says of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from decontext.attention import resolve_blocks
from decontext.editors import Editor, Estimates, weightless_editor
from decontext.editors.weights.weightless import META, Held
from decontext.errors import EditorError
from decontext.machine import describe_bytes
from decontext.objectives import build_objective, working_sizes
from decontext.settings import ProtectSettings
from decontext.trace.fused import fused_attention
from decontext.trace.meter import Meter

PHOTO = (1600, 1200)
"""Width and height of the photo that the step is of."""

WAYS = (Held(), Held(checkpointing=False), Held("int8"), Held("nf4"), Held(stream=True))
"""To hold the weights, that are shown."""


@dataclass(frozen=True)
class Trace:
    """What a step took, and what the plan says; memory in bytes, work in operations.

    Attributes:
        editor, precision, streamed, checkpointing: of what, and how it is held.
        photo, size: of the photo, and at which the editor sees it, `(width, height)`.
        blocks: up to which it runs.
        samples: draws of the step.
        weights: held before the step begins; of a streamed editor what comes before the blocks.
        peak: at most, weights included.
        flop: of the step.
        planned_peak, planned_flop: what the plan says.
        seconds: that following it took.
    """

    editor: str
    precision: str
    streamed: bool
    checkpointing: bool
    photo: tuple[int, int]
    size: tuple[int, int]
    blocks: int
    weights: int
    peak: int
    flop: float
    planned_peak: int
    planned_flop: float
    seconds: float
    samples: int = 1

    @property
    def memory_error(self) -> float:
        """By what part of the peak the plan is too high; below zero: too low."""
        return self.planned_peak / self.peak - 1

    @property
    def flop_error(self) -> float:
        return self.planned_flop / self.flop - 1

    @property
    def held(self) -> str:
        """How the weights are held, in words."""
        return Held(self.precision, self.streamed, self.checkpointing).describe()

    def describe(self) -> str:
        """A sentence for people."""
        draws = f", {self.samples} draws" if self.samples > 1 else ""
        return (
            f"{self.editor}, {self.held}, a photo seen at {self.size[0]} x {self.size[1]}{draws}: "
            f"{describe_bytes(self.peak)} at most, {describe_bytes(self.weights)} of them weights "
            f"(the plan says {describe_bytes(self.planned_peak)}, {self.memory_error:+.1%}), "
            f"{self.flop / 1e12:.0f} TFLOP (the plan says {self.planned_flop / 1e12:.0f}, "
            f"{self.flop_error:+.1%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def trace_editor(
    name: str,
    held: Held = WAYS[0],
    *,
    blocks: str = "all",
    photo: tuple[int, int] = PHOTO,
    side: int | None = None,
    samples: int = 1,
) -> Trace:
    """Follow one gradient step of an editor in its published size.

    `side` is a working size other than the ordinary one, `samples` are the draws of the step.

    Raises:
        InputError: there is no such editor, or it cannot be had without its weights.
        TraceError: tensors of two devices met.
    """
    editor = weightless_editor(name, held)
    return trace_step(editor, held, blocks=blocks, photo=photo, side=side, samples=samples)


def trace_step(
    editor: Editor,
    held: Held,
    *,
    blocks: str = "all",
    photo: tuple[int, int] = PHOTO,
    side: int | None = None,
    samples: int = 1,
) -> Trace:
    """The same of an editor that is on the meta device already."""
    if not isinstance(editor, Estimates):
        raise EditorError(f"{editor.info.name} does not say what a step takes; there is no plan.")
    began = time.monotonic()
    settings = ProtectSettings(
        blocks=blocks,
        samples_per_step=samples,
        working_size=str(side or "ordinary"),
    )
    numbers = resolve_blocks(blocks, editor.info.double_blocks, editor.info.single_blocks)
    with fused_attention(), Meter() as meter:
        picture = torch.empty((1, 3, photo[1], photo[0]), device=META)
        objective = build_objective(editor, picture, settings)
        sizes = working_sizes(editor, picture, settings.working_sides)
        cost = editor.estimate(numbers, sizes, samples)
        meter.restart()
        weights = meter.live
        value = objective(picture.requires_grad_(), torch.Generator().manual_seed(0))
        value.backward()  # type: ignore[no-untyped-call]
    return Trace(
        editor=editor.info.name,
        precision=held.precision,
        streamed=held.stream,
        checkpointing=held.checkpointing,
        photo=photo,
        size=sizes[0],
        blocks=cost.blocks,
        weights=weights,
        peak=meter.peak,
        flop=meter.flop,
        planned_peak=cost.memory,
        planned_flop=cost.step_flop,
        seconds=time.monotonic() - began,
        samples=samples,
    )


def trace_ways(
    name: str, *, on_way: Callable[[int, int, str], None] | None = None, **options: Any
) -> tuple[Trace, ...]:
    """One step with the weights held in each of `WAYS`; options as of `trace_editor`.

    `on_way` is called with the number of ways done, of all, and what comes next.
    """
    traces = []
    for number, held in enumerate(WAYS):
        if on_way is not None:
            on_way(number, len(WAYS), held.describe())
        traces.append(trace_editor(name, held, **options))
    return tuple(traces)
