"""What a run over many photos would do and take: looked at, one step measured, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from decontext.editors import Editor
from decontext.editors.several import Crew, gather
from decontext.errors import InputError
from decontext.estimate import PICTURES_OF_A_MEASUREMENT, count_judging
from decontext.folders.finding import Task
from decontext.folders.manifest import ALREADY, FAILED, NAME, Manifest, Row
from decontext.folders.photo import Work, build_row, skip
from decontext.pgd import CHECK_EVERY
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.images import load_photo
from decontext.protect import protect_steps
from decontext.report import sha256
from decontext.settings import ProtectSettings

PASSES_OF_A_STEP = 3
"""What a step takes in passes without gradient: the way back costs about twice the way there."""


@dataclass(frozen=True)
class Forecast:
    """What a run would do and take.

    Attributes:
        waiting: photos that would be protected.
        finished: photos that an earlier run has done.
        already: names of photos that are protected ones themselves.
        unreadable: names of files that are no pictures, with the reason.
        step_seconds: of one step, measured on a photo of middle size; None: there was none to do.
        seconds: of the whole run.
        measured: name of that photo.
    """

    waiting: int
    finished: int
    already: tuple[str, ...]
    unreadable: tuple[str, ...]
    step_seconds: float | None = None
    seconds: float = 0.0
    measured: str = ""


def look(tasks: Sequence[Task], work: Work) -> tuple[list[Task], list[Row]]:
    """The photos that would be protected, and the rows of the others. Nothing is written.

    Raises:
        InputError: the folder was begun with other settings.
    """
    manifest = Manifest(work.folder / NAME, work.heading(), force=work.force, look_only=True)
    waiting, others = [], []
    for task in tasks:
        task = replace(task, digest=sha256(Path(task.source)) or "")
        row = skip(task, manifest, work)
        if row is None and _read_size(task) is None:
            row = build_row(task, FAILED, message="it is no picture that can be read here")
        if row is None:
            waiting.append(task)
        else:
            others.append(row)
    return waiting, others


def forecast(
    tasks: Sequence[Task], work: Work, editor: Editor | Crew, *, jobs: int = 1
) -> Forecast:
    """What a run would take, from one step on a photo of middle working size.

    A step's time is taken to grow with the area at which the editor sees the photo, and processes
    not to hinder each other. Photos that are not strong after `steps` steps take longer.

    Raises:
        InputError: the folder was begun with other settings.
        DecontextError: the step failed.
    """
    waiting, others = look(tasks, work)
    said = Forecast(
        waiting=len(waiting),
        finished=sum(row["status"] not in (ALREADY, FAILED) for row in others),
        already=tuple(row["name"] for row in others if row["status"] == ALREADY),
        unreadable=tuple(row["name"] for row in others if row["status"] == FAILED),
    )
    areas = [_working_area(task, editor) for task in waiting]
    middle = sorted(range(len(waiting)), key=areas.__getitem__)[len(waiting) // 2 :]
    for index in middle:
        try:
            step = measure_step(waiting[index].source, editor, work.settings)
        except InputError:  # Its turn in the run says what is wrong with it.
            continue
        photo_seconds = step * _count_steps(work.settings)
        seconds = photo_seconds * sum(areas) / areas[index] / jobs
        return replace(said, step_seconds=step, seconds=seconds, measured=waiting[index].name)
    return said


def measure_step(source: str | Path, editor: Editor | Crew, settings: ProtectSettings) -> float:
    """Seconds of one step, the second of two: the first one also starts things up."""
    steps = protect_steps(load_photo(source), editor, replace(settings, steps=CHECK_EVERY - 1))
    began = next(steps).seconds
    ended = next(steps).seconds
    steps.close()
    return ended - began


def _count_steps(settings: ProtectSettings) -> float:
    """What protecting a photo takes in steps, checks and the measurement of the file included."""
    sizes = len(settings.working_sides)
    checks = sizes * count_judging(settings)
    measured = PICTURES_OF_A_MEASUREMENT * settings.verify_prompts * settings.verify_noises
    return (
        settings.planned_steps + (checks + measured) / PASSES_OF_A_STEP / settings.samples_per_step
    )


def _working_area(task: Task, editor: Editor | Crew) -> int:
    """Pixels at which the editor sees the photo, of several editors all together."""
    sizes = [one.working_size(*(_read_size(task) or (1, 1))) for one in gather(editor)]
    return sum(width * height for width, height in sizes)


def _read_size(task: Task) -> tuple[int, int] | None:
    """Width and height by the file's head; None where it is no picture."""
    try:
        with quiet_decoders(), Image.open(task.source) as image:
            return image.size
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return None
