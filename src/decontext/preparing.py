"""What a run finds out and keeps before its first step: its blocks, and what instructions say.

Between the objectives and `protect` on the way of the data.
"""

from __future__ import annotations

from dataclasses import replace

from decontext.attention import resolve_blocks
from decontext.editors import Editor, Prepares
from decontext.objectives import working_sizes
from decontext.objectives.sensitivity import choose_blocks
from decontext.photo.images import Photo
from decontext.prompts import HELD_OUT, OPTIMISE
from decontext.settings import ProtectSettings


def prepare(editor: Editor, photo: Photo, settings: ProtectSettings) -> ProtectSettings:
    """Encode all instructions of the run at once, so that the text encoders are needed once only.

    Returns the settings with blocks that this editor has, see `settle`.
    """
    if isinstance(editor, Prepares):
        info = editor.info
        blocks = "all" if settings.blocks == "auto" else settings.blocks
        editor.prepare(
            [*OPTIMISE, *HELD_OUT[: settings.verify_prompts]],
            resolve_blocks(blocks, info.double_blocks, info.single_blocks),
            sizes=working_sizes(editor, photo.pixels, settings.working_sides),
        )
    return settle(photo, editor, settings)


def settle(photo: Photo, editor: Editor, settings: ProtectSettings) -> ProtectSettings:
    """The settings with blocks that this editor has in place of "auto"."""
    if settings.blocks != "auto":
        return settings
    return replace(settings, blocks=choose_blocks(editor, photo.pixels, seed=settings.seed))
