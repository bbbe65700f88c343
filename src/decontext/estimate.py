"""How long a run will take and what memory it needs, before anything is loaded.

Work is counted from the editor's configuration, speed is that of a matrix product on this very
device, measured in a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from decontext.attention import resolve_blocks
from decontext.editors import Editor, Estimates
from decontext.editors.several import Crew, gather
from decontext.least_visible import JUDGED_DRAWS
from decontext.machine import describe_bytes, describe_seconds, free_memory, matmul_rate
from decontext.objectives import working_sizes
from decontext.pgd import CHECK_EVERY
from decontext.settings import LARGE_PHOTO
from decontext.visibility.lessen import TRIALS

if TYPE_CHECKING:
    from decontext.photo.images import Photo
    from decontext.settings import ProtectSettings

SHARE_OF_A_MATRIX_PRODUCT = 0.6
"""Of its speed that a step reaches, on the careful side: `make bench` measured 0.51 to 1.95 by the
count of operations that is used here (docs/performance.md)."""

SECONDS_PER_BLOCK = 1e-3
"""Per pass, for starting kernels, most of the time of small editors. Assumed, not measured."""

CASES_OF_A_CHECK = 4
PICTURES_OF_A_MEASUREMENT = 3


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        seconds: from the first step to the last measurement, without loading.
        step_seconds: of one step.
        memory: bytes of the device's memory at the peak, 0 where that is not known.
        photo_memory: bytes that the photo takes at the peak, beside that.
        sizes: at which the editor sees the photo, `(width, height)`.
        words: how the weights are held and why.
    """

    seconds: float
    step_seconds: float
    memory: int
    photo_memory: int
    sizes: tuple[tuple[int, int], ...]
    words: str

    def describe(self, device: str) -> str:
        """A sentence for people; how the weights are held is said when they are loaded."""
        sizes = ", ".join(f"{width} x {height}" for width, height in self.sizes)
        photo = f"{describe_bytes(self.photo_memory)} for the photo"
        memory = f"{describe_bytes(self.memory)} of memory and {photo}" if self.memory else photo
        return (
            f"estimate: about {describe_seconds(self.seconds)} on {device}, {memory}; the editor "
            f"sees the photo at {sizes}"
        )


def estimate_run(photo: Photo, editor: Editor | Crew, settings: ProtectSettings) -> Estimate | None:
    """What protecting a photo will take, of several editors all; None for those that cannot say.

    Raises:
        InputError: the editor has no such blocks or sizes.
        EditorError: the weights do not fit in any way.
    """
    crew = gather(editor)
    each = [_estimate_one(photo, one, settings) for one in crew]
    known = [one for one in each if one is not None]
    if len(known) < len(crew):
        return None
    memory = [one.memory for one in known]
    return Estimate(
        seconds=sum(one.seconds for one in known),
        step_seconds=sum(one.step_seconds for one in known),
        memory=sum(memory) if sum(memory) <= free_memory(crew.device) else max(memory),
        photo_memory=known[0].photo_memory,
        sizes=tuple(dict.fromkeys(size for one in known for size in one.sizes)),
        words="; ".join(one.words for one in known),
    )


def _estimate_one(photo: Photo, editor: Editor, settings: ProtectSettings) -> Estimate | None:
    if not isinstance(editor, Estimates):
        return None
    info = editor.info
    names = "all" if settings.blocks == "auto" else settings.blocks
    blocks = resolve_blocks(names, info.double_blocks, info.single_blocks)
    sizes = working_sizes(editor, photo.pixels, settings.working_sides)
    cost = editor.estimate(blocks, sizes, settings.samples_per_step)
    speed = SHARE_OF_A_MATRIX_PRODUCT * matmul_rate(editor.device, getattr(torch, cost.dtype))
    starting = SECONDS_PER_BLOCK * cost.blocks
    passes = settings.samples_per_step * len(sizes)
    step = cost.step_flop / speed + 3 * starting * passes
    measured = PICTURES_OF_A_MEASUREMENT * settings.verify_prompts * settings.verify_noises
    checks = len(sizes) * count_judging(settings)
    seconds = settings.planned_steps * step + (measured + checks) * (
        cost.pass_flop / speed + starting
    )
    memory = photo_memory(photo, settings)
    return Estimate(seconds, step, cost.memory, memory, sizes, cost.words)


def count_judging(settings: ProtectSettings) -> int:
    """Passes without gradient by which pictures are compared while a photo is optimised."""
    if settings.least_visible:
        return JUDGED_DRAWS * (1 + TRIALS)
    return CASES_OF_A_CHECK * (settings.steps // CHECK_EVERY + 1)


def photo_memory(photo: Photo, settings: ProtectSettings, *, jpeg: bool | None = None) -> int:
    """Bytes that a photo takes at its own size while it is protected, at the peak.

    In a step there are the photo, the iterate, the velocity and the best iterate; beside them the
    photo as it was published, with the bytes of a JPEG (of a large photo fewer at a time), or the
    gradient; and what the file itself holds, where that is kept. `jpeg` says whether it is saved
    as one, by default as it came.
    """
    pixels = photo.size[0] * photo.size[1]
    large = pixels > LARGE_PHOTO
    published = settings.robust != "off" or (photo.format == "JPEG" if jpeg is None else jpeg)
    kept = 4 + 4 + (2 + 1 if large else 4 + 4)
    step = kept + 4 + ((1.5 if large else 3) if published else 0)
    held = 0 if photo.own is None else photo.own.values.nbytes
    # Afterwards the photo, its protected copy, what was read of the file, and noise as strong.
    return round(3 * pixels * max(step, 4 * 4)) + held
