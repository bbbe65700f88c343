"""What every editor must bear: all objectives, edits without the photo, and the analyses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from small_sides import shrink_editor, shrink_pipelines
from tiny_flux2 import save_tiny_flux2
from tiny_longcat import save_tiny_longcat
from tiny_models import save_tiny_pipeline
from tiny_qwen import save_tiny_causal, save_tiny_qwen
from tiny_step1x import save_tiny_step1x, save_tiny_step1x_v1_2
from torch import Tensor

from decontext.analysis.measure import map_proportions, time_gradients
from decontext.edit import edit_without_context
from decontext.editors import load_editor
from decontext.editors._base import Editor
from decontext.objectives import build_objective
from decontext.objectives.sensitivity import weigh_blocks
from decontext.photo.images import Photo, levels
from decontext.progress import drain
from decontext.protect import protect_steps
from decontext.settings import CONTROLS, ObjectiveName, ProtectSettings

OPTIMISED = [name for name in get_args(ObjectiveName) if name not in CONTROLS]


SAVE: dict[str, Callable[[Path], Path]] = {
    "flux-kontext": save_tiny_pipeline,
    "flux2-dev": partial(save_tiny_flux2, variant="dev"),
    "flux2-klein": save_tiny_flux2,
    "longcat-image-edit": save_tiny_longcat,
    "qwen-image-2.1": save_tiny_causal,
    "qwen-image-edit": partial(save_tiny_qwen, several=False),
    "qwen-image-edit-2509": save_tiny_qwen,
    "step1x-edit": save_tiny_step1x,
    "step1x-edit-v1.2": lambda folder: save_tiny_step1x_v1_2(folder / "v1.2"),
}
"""Writes a small model in the published layout into a folder."""

SIDE = 96


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_pipelines(monkeypatch, SIDE)


@pytest.fixture(scope="module", params=SAVE)
def editor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    loaded: Any = load_editor(request.param, source=SAVE[request.param](folder), device="cpu")
    return shrink_editor(loaded, SIDE)


@pytest.fixture(scope="module")
def photo() -> Tensor:
    noise = torch.rand((1, 3, 72, 90), generator=torch.Generator().manual_seed(0))
    return noise.mul(255).round().div(255)


@pytest.mark.parametrize("objective", OPTIMISED)
def test_every_objective_has_a_gradient_at_every_level_of_robustness(
    editor: Editor, photo: Tensor, objective: ObjectiveName
) -> None:
    settings = ProtectSettings(objective=objective, blocks="double:0-1")
    function = build_objective(editor, photo, settings)
    image = (photo * 0.9 + 0.05).requires_grad_()
    value = function(image, torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(value, image)
    assert value.shape == ()
    assert bool(gradient.isfinite().all())
    seen = find_seen(editor, image)
    assert float((gradient[seen] != 0).float().mean()) > 0.99
    assert float(seen.float().mean()) > 0.75


def find_seen(editor: Editor, image: Tensor) -> Tensor:
    """Which pixels reach the editor at all: some editors cut the edges to whole tokens."""
    context = editor.encode_image(image)
    weights = torch.randn(context.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((context * weights).sum(), image)
    return gradient != 0


@pytest.mark.parametrize("level", ["web", "strong"])
def test_a_robust_run_stays_within_the_budget(editor: Editor, photo: Tensor, level: Any) -> None:
    settings = ProtectSettings(method="sign", steps=4, robust=level, blocks="double:0", seed=1)
    source = Photo(photo, Path("me.png"), "PNG", "RGB")
    changes = []
    image = drain(
        protect_steps(source, editor, settings),
        lambda step: changes.append(float(step.perturbation.abs().max())),
    )
    # Random weights: that the best of four steps is better than nothing is not certain.
    assert levels(photo, image) <= 8
    assert all(1 / 255 < change <= 8 / 255 + 1e-6 for change in changes)


def test_an_edit_without_the_photo_is_another_edit(editor: Editor, photo: Tensor) -> None:
    plain = editor.edit(photo, "smile", steps=2)
    blind = edit_without_context(editor, photo, "smile", steps=2)
    assert plain.shape == blind.shape
    assert bool(blind.isfinite().all()) and not torch.equal(plain, blind)
    assert torch.equal(plain, editor.edit(photo, "smile", steps=2))


def test_analyses_give_numbers_for_every_block_and_noise_level(
    editor: Editor, photo: Tensor
) -> None:
    blocks = editor.info.double_blocks + editor.info.single_blocks
    grid = map_proportions(editor, photo, photo, sigmas=(0.5, 1.0), draws=1)
    assert grid.shape == (2, blocks)
    assert 0 < float(grid.min()) <= float(grid.max()) < 1
    gradients = time_gradients(editor, photo, sigmas=(0.3, 0.9), draws=1)
    assert all(0 < share < 1 for share in gradients.shares)
    one, whole = weigh_blocks(editor, photo, ("double:0", "all"), sigmas=(1.0,), draws=1)
    assert 0 < one.cost < whole.cost == 1
    assert whole.fall > 0
