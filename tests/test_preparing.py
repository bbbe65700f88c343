"""What is chosen before the first step: how the weights are held, for the draws of the settings.

Of an editor in its published size, without weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from decontext.editors import weightless_editor
from decontext.editors.weights import transformer
from decontext.editors.weights.plan import RESERVE
from decontext.editors.weights.weightless import Held
from decontext.objectives import build_objective
from decontext.photo.images import Photo
from decontext.preparing import prepare
from decontext.settings import ProtectSettings

SIZE = (1024, 1024)
PHOTO = Photo(torch.empty((1, 3, *SIZE), device="meta"), Path("photo.png"), "PNG", "RGB")
TWO = ProtectSettings(blocks="all", samples_per_step=2)


def build_editor() -> Any:
    """With the choice of precision and of what is computed twice left open."""
    editor: Any = weightless_editor("qwen-image-2.1", Held("auto"))
    editor._transformer._twice = None
    return editor


def give_room(monkeypatch: pytest.MonkeyPatch, *, twice: bool) -> None:
    """As much memory as one draw needs in bfloat16, and no more."""
    editor: Any = weightless_editor("qwen-image-2.1", Held(checkpointing=twice))
    free = editor.estimate(range(32), [SIZE], 1).memory + RESERVE
    monkeypatch.setattr(transformer, "free_memory", lambda _device: free)


def test_precision_is_chosen_for_the_draws_of_the_settings(monkeypatch) -> None:
    give_room(monkeypatch, twice=True)
    for draws, precision in ((1, "bfloat16"), (2, "int8")):
        editor = build_editor()
        said = editor.estimate(range(32), [SIZE], draws)
        prepare(editor, PHOTO, ProtectSettings(blocks="all", samples_per_step=draws))
        plan = editor._transformer.plan
        assert (plan.precision, plan.checkpointing) == (precision, True)
        assert plan.total == said.memory and plan.fits


def test_objective_is_prepared_for_its_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    give_room(monkeypatch, twice=True)
    editor = build_editor()
    build_objective(editor, PHOTO.pixels, TWO)
    assert editor._transformer.plan.precision == "int8"


def test_what_was_planned_for_an_edit_makes_room_for_draws(monkeypatch) -> None:
    give_room(monkeypatch, twice=False)
    editor = build_editor()
    editor._engine.settle()  # as an edit does
    assert not editor._transformer.checkpointing
    prepare(editor, PHOTO, TWO)
    plan = editor._transformer.plan
    assert plan.precision == "bfloat16" and plan.checkpointing and plan.fits
    assert editor._transformer.checkpointing
    assert editor._pipeline.vae.encoder.gradient_checkpointing
