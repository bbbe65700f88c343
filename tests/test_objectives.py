"""The objectives on an editor of a few lines whose right values are known."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from decontext.errors import InputError
from decontext.objectives import build_objective, context_proportion, encoder, flow_matching
from decontext.settings import ProtectSettings

SIZE = (16, 8)


class FakeEditor:
    """Latents are the photo at a working size of 16 x 8; attention is their mean times sigma.

    It writes down what it is asked.
    """

    info = SimpleNamespace(double_blocks=2, single_blocks=3)

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.passes: list[tuple[str, float, tuple[int, ...]]] = []
        self.noises: list[Tensor] = []

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        return SIZE

    def encode_prompt(self, text: str, image: Tensor | None = None) -> Any:
        assert image is not None
        self.encoded.append(text)
        return text

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        assert size == SIZE
        return torch.randn((1, 3, size[1], size[0]), generator=generator)

    def encode_image(self, image: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(image, (SIZE[1], SIZE[0]))

    def attend(
        self, image: Tensor, prompt: Any, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        self.passes.append((prompt, sigma, tuple(blocks)))
        self.noises.append(noise)
        return self.encode_image(image).mean() * sigma * torch.ones(len(blocks))

    def predict(self, image: Tensor, prompt: Any, sigma: float, noisy: Tensor) -> Tensor:
        """Exact for the photo it is given: the velocity from its latents to the noise."""
        self.passes.append((prompt, sigma, ()))
        return (noisy - self.encode_image(image)) / sigma


def _photo() -> Tensor:
    return torch.rand((1, 3, 20, 40), generator=torch.Generator().manual_seed(0))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_context_proportion_is_the_mean_over_blocks_and_draws() -> None:
    editor: Any = FakeEditor()
    objective = context_proportion(
        editor, _photo(), prompts=("smile",), blocks=(0, 2), sigma_range=(0.5, 0.5), samples=3
    )
    value = objective(_photo(), _generator())
    torch.testing.assert_close(value, 0.5 * editor.encode_image(_photo()).mean())
    assert editor.passes == [("smile", 0.5, (0, 2))] * 3


def test_every_call_draws_prompt_sigma_and_noise_anew() -> None:
    editor: Any = FakeEditor()
    objective = context_proportion(editor, _photo(), blocks=(0,), sigma_range=(0.98, 1.0))
    generator = _generator()
    for _ in range(40):
        objective(_photo(), generator)
    prompts, sigmas, _ = zip(*editor.passes, strict=True)
    assert len(set(prompts)) > 20
    assert len(set(sigmas)) == 40
    assert all(0.98 <= sigma <= 1.0 for sigma in sigmas)
    assert not torch.equal(editor.noises[0], editor.noises[1])


def test_each_instruction_is_encoded_once() -> None:
    editor: Any = FakeEditor()
    objective = context_proportion(editor, _photo(), prompts=("smile", "sit"), blocks=(0,))
    generator = _generator()
    for _ in range(20):
        objective(_photo(), generator)
    assert sorted(editor.encoded) == ["sit", "smile"]


@pytest.mark.parametrize("name", ["context-proportion", "flow-matching", "encoder"])
def test_same_generator_gives_the_same_value_and_a_gradient_to_every_pixel(name: Any) -> None:
    editor: Any = FakeEditor()
    objective = build_objective(editor, _photo(), ProtectSettings(objective=name))
    image = (_photo() * 0.9).requires_grad_()
    first = objective(image, _generator(4))
    assert first.shape == ()
    assert torch.equal(first, objective(image, _generator(4)))
    (gradient,) = torch.autograd.grad(first, image)
    assert bool((gradient != 0).all())


def test_settings_choose_blocks_by_name_and_the_number_of_draws() -> None:
    editor: Any = FakeEditor()
    settings = ProtectSettings(blocks="double:1,single:0-1", samples_per_step=2)
    build_objective(editor, _photo(), settings)(_photo(), _generator())
    assert [blocks for _, _, blocks in editor.passes] == [(1, 2, 3)] * 2
    editor.passes.clear()
    build_objective(editor, _photo(), settings, samples=5)(_photo(), _generator())
    assert len(editor.passes) == 5


def test_unknown_block_is_found_before_the_work() -> None:
    editor: Any = FakeEditor()
    with pytest.raises(InputError, match="double:0-1"):
        build_objective(editor, _photo(), ProtectSettings(blocks="triple:0"))
    assert editor.passes == []


def test_flow_matching_is_best_for_the_editor_at_the_photo_itself() -> None:
    editor: Any = FakeEditor()
    objective = flow_matching(editor, _photo(), samples=2)
    assert objective(_photo(), _generator()) == pytest.approx(0, abs=1e-9)
    assert objective(_photo() * 0.5, _generator()) < -0.01


def test_encoder_is_the_negative_squared_distance_of_latents() -> None:
    editor: Any = FakeEditor()
    objective = encoder(editor, torch.full((1, 3, 20, 40), 0.5))
    value = objective(torch.full((1, 3, 20, 40), 0.7), _generator())
    assert value == pytest.approx(-0.04, abs=1e-6)
