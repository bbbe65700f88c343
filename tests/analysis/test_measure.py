"""What is measured of an editor: against its own passes, on a tiny one with random weights."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor

import decontext
from decontext.analysis.measure import (
    PROMPT,
    _context_latents,
    edit_references,
    map_proportions,
    time_gradients,
)

BLOCKS = tiny_models.DOUBLE_BLOCKS + tiny_models.SINGLE_BLOCKS


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.rand((1, 3, 56, 72), generator=torch.Generator().manual_seed(0))


def test_map_has_a_row_for_each_noise_level_and_the_proportions_of_its_pass(
    editor: Any, photo: Tensor
) -> None:
    found = map_proportions(editor, photo, photo, sigmas=(0.5, 1.0), draws=1, seed=3)
    assert found.shape == (2, BLOCKS)
    assert 0 < float(found.min()) < float(found.max()) < 1
    size = editor.working_size(72, 56)
    noise = editor.draw_noise(size, torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = editor.attend(
            photo, editor.encode_prompt(PROMPT), 1.0, noise, tuple(range(BLOCKS))
        )
    torch.testing.assert_close(found[1], expected)


def test_context_latents_stand_in_for_the_photo_and_only_within(editor: Any, photo: Tensor) -> None:
    latents = editor.encode_image(photo)
    prompt = editor.encode_prompt(PROMPT)
    noise = editor.draw_noise(editor.working_size(72, 56), torch.Generator().manual_seed(0))
    black = torch.zeros_like(photo)
    with torch.no_grad():
        expected = editor.predict(photo, prompt, 0.5, noise)
        with _context_latents(editor, latents):
            torch.testing.assert_close(editor.predict(black, prompt, 0.5, noise), expected)
        assert not torch.equal(editor.predict(black, prompt, 0.5, noise), expected)


def test_gradients_are_those_of_finite_differences(editor: Any, photo: Tensor) -> None:
    """Along one direction each, the loss rises as the gradient's definition says."""
    found = time_gradients(editor, photo, sigmas=(0.4, 0.9), draws=1)
    assert found.sigmas == (0.4, 0.9)
    assert all(value > 0 for value in (*found.target, *found.context))
    clean = editor.encode_image(photo).detach()
    noise = editor.draw_noise(editor.working_size(72, 56), torch.Generator().manual_seed(0))
    prompt = editor.encode_prompt(PROMPT)
    noisy = torch.lerp(clean, noise, 0.4).requires_grad_()

    def loss(context: Tensor, target: Tensor) -> Tensor:
        with _context_latents(editor, context):
            velocity = editor.predict(photo, prompt, 0.4, target)
        return (velocity - (noise - clean)).square().mean()

    leaf = clean.clone().requires_grad_()
    gradient = torch.autograd.grad(loss(leaf, noisy), leaf)[0]
    assert found.context[0] == pytest.approx(float(gradient.abs().mean()), rel=1e-4)
    step = 0.02 * gradient.sign()
    with torch.no_grad():
        rise = float(loss(clean + step, noisy) - loss(clean - step, noisy)) / 2
    assert float((gradient * step).sum()) == pytest.approx(rise, rel=0.1)


def test_references_are_the_ordinary_edits_and_one_that_differs(editor: Any, photo: Tensor) -> None:
    (found,) = edit_references(editor, photo, photo, instructions=("smile",), seed=2)
    assert torch.equal(found.of_original, editor.edit(photo, "smile", seed=2))
    assert torch.equal(found.of_original, found.of_protected)
    assert not torch.equal(found.of_original, found.without)
