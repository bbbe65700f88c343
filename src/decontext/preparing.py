"""What a run finds out and keeps before its first step: its blocks, and what instructions say.

Between the objectives and `protect` on the way of the data.
"""

from __future__ import annotations

from dataclasses import replace

from decontext.attention import resolve_blocks
from decontext.editors import Editor, Estimates, Prepares
from decontext.editors.several import Crew, gather
from decontext.machine import free_memory
from decontext.objectives import working_sizes
from decontext.objectives.sensitivity import choose_blocks
from decontext.photo.images import Photo
from decontext.prompts import HELD_OUT, OPTIMISE
from decontext.settings import ProtectSettings


def prepare(editor: Editor | Crew, photo: Photo, settings: ProtectSettings) -> ProtectSettings:
    """Encode all instructions of the run at once, so that the text encoders are needed once only.

    Returns the settings with blocks that this editor has in place of "auto"; of several editors
    each has its own, see `settle_each`.
    """
    crew = gather(editor)
    crew.take_turns(*_needs(crew, photo, settings))
    for one in crew:
        _prepare(crew.turn(one), photo, settings)
    first, *others = settle_each(photo, crew, settings)
    return settings if others else first


def settle_each(photo: Photo, crew: Crew, settings: ProtectSettings) -> list[ProtectSettings]:
    """The settings for each editor, with blocks that it has in place of "auto"; chosen once."""
    if settings.blocks != "auto":
        return [settings] * len(crew)
    for one in crew:
        if one.info.name not in crew.blocks:
            chosen = settle(photo, crew.turn(one), settings)
            crew.blocks[one.info.name] = chosen.blocks
    return [replace(settings, blocks=crew.blocks[one.info.name]) for one in crew]


def _needs(crew: Crew, photo: Photo, settings: ProtectSettings) -> tuple[list[int], int]:
    """What each editor needs of the device, and what is free there."""
    if len(crew) == 1:
        return [0], 0
    needed = []
    for one in crew:
        if isinstance(one, Estimates):
            info = one.info
            blocks = "all" if settings.blocks == "auto" else settings.blocks
            numbers = resolve_blocks(blocks, info.double_blocks, info.single_blocks)
            sizes = working_sizes(one, photo.pixels, settings.working_sides)
            needed.append(one.estimate(numbers, sizes, settings.samples_per_step).memory)
    return needed, free_memory(crew.device)


def _prepare(editor: Editor, photo: Photo, settings: ProtectSettings) -> None:
    if isinstance(editor, Prepares):
        info = editor.info
        blocks = "all" if settings.blocks == "auto" else settings.blocks
        editor.prepare(
            [*OPTIMISE, *HELD_OUT[: settings.verify_prompts]],
            resolve_blocks(blocks, info.double_blocks, info.single_blocks),
            sizes=working_sizes(editor, photo.pixels, settings.working_sides),
            samples=settings.samples_per_step,
        )


def settle(photo: Photo, editor: Editor, settings: ProtectSettings) -> ProtectSettings:
    """The settings with blocks that this editor has in place of "auto"."""
    if settings.blocks != "auto":
        return settings
    return replace(settings, blocks=choose_blocks(editor, photo.pixels, seed=settings.seed))
