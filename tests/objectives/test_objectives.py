"""The objectives on an editor of a few lines whose right values are known."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from decontext.attention import SequenceLayout, measure
from decontext.errors import InputError
from decontext.objectives import (
    Passes,
    attention_entropy,
    build_objective,
    context_proportion,
    control_noise,
    encoder,
    flow_matching,
)
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
    passes = Passes(prompts=("smile",), blocks=(0, 2), sigma_range=(0.5, 0.5), samples=3)
    objective = context_proportion(editor, _photo(), passes)
    value = objective(_photo(), _generator())
    torch.testing.assert_close(value, 0.5 * editor.encode_image(_photo()).mean())
    assert editor.passes == [("smile", 0.5, (0, 2))] * 3


def test_every_call_draws_prompt_sigma_and_noise_anew() -> None:
    editor: Any = FakeEditor()
    objective = context_proportion(editor, _photo(), Passes(blocks=(0,), sigma_range=(0.98, 1.0)))
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
    objective = context_proportion(editor, _photo(), Passes(prompts=("smile", "sit"), blocks=(0,)))
    generator = _generator()
    for _ in range(20):
        objective(_photo(), generator)
    assert sorted(editor.encoded) == ["sit", "smile"]


@pytest.mark.parametrize("name", ["context-proportion", "flow", "encoder", "encoder-grey"])
def test_same_generator_gives_the_same_value_and_a_gradient_to_every_pixel(name: Any) -> None:
    editor: Any = FakeEditor()
    objective = build_objective(editor, _photo(), ProtectSettings(objective=name))
    image = (_photo() * 0.9 + 0.02).requires_grad_()
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


def test_encoder_to_grey_is_nearest_at_grey() -> None:
    editor: Any = FakeEditor()
    objective = encoder(editor, _photo(), to_grey=True)
    assert objective(torch.full((1, 3, 20, 40), 0.5), _generator()) == 0
    value = objective(torch.full((1, 3, 20, 40), 0.7), _generator())
    assert value == pytest.approx(0.04, abs=1e-6)


def test_attention_entropy_is_what_the_probe_is_told_to_measure_negative() -> None:
    """The fake editor's pass has one attention call, whose entropy is known: all keys alike."""
    editor: Any = FakeEditor()
    layout = SequenceLayout(text=2, target=8, context=4)

    def attend(image: Tensor, _prompt: Any, _sigma: float, _noise: Tensor, blocks: Any) -> Tensor:
        tokens = image.mean() * torch.ones((1, 1, 14, 8))
        return measure(
            lambda: functional.scaled_dot_product_attention(tokens, tokens, tokens), layout, blocks
        )

    editor.attend = attend
    objective = attention_entropy(editor, _photo(), Passes(blocks=(0,)))
    assert objective(_photo(), _generator()) == pytest.approx(-1)
    proportion = context_proportion(editor, _photo(), Passes(blocks=(0,)))
    assert proportion(_photo(), _generator()) == pytest.approx(4 / 14)


def test_a_size_that_a_cut_edge_changed_has_its_own_noise_and_latents() -> None:
    editor: Any = FakeEditor()
    sizes = []
    editor.working_size = lambda width, height: (16, 8) if width > 30 else (8, 8)
    editor.draw_noise = lambda size, generator: (
        sizes.append(size) or torch.randn((1, 3, size[1], size[0]), generator=generator)
    )
    editor.encode_image = lambda image: functional.adaptive_avg_pool2d(
        image, editor.working_size(image.shape[-1], image.shape[-2])[::-1]
    )
    for objective in (flow_matching(editor, _photo()), encoder(editor, _photo())):
        for width in (40, 30):
            assert bool(objective(_photo()[..., :width] * 0.5, _generator()).isfinite())
    assert sizes == [(16, 8), (8, 8)]


@pytest.mark.parametrize("grey", [False, True])
def test_control_noise_uses_the_whole_budget_and_no_more(grey: bool) -> None:
    photo = torch.full((1, 3, 40, 40), 0.5)
    signs = control_noise(
        "random-sign", photo, epsilon=12.75 / 255, generator=_generator(), grey=grey
    )
    uniform = control_noise("uniform", photo, epsilon=8 / 255, generator=_generator(), grey=grey)
    torch.testing.assert_close((signs - photo).abs(), torch.full_like(photo, 12 / 255))
    assert abs(float((signs - photo).mean())) < 2 / 255
    assert 7 / 255 < float((uniform - photo).abs().max()) <= 8 / 255 + 1e-6
    assert float((uniform - photo).std()) == pytest.approx(8 / 255 / 3**0.5, rel=0.05)
    for noisy in (signs, uniform):
        assert torch.equal(noisy[:, 0], noisy[:, 1]) is grey


def test_nothing_is_optimised_for_a_control() -> None:
    with pytest.raises(InputError, match="nothing is optimised for 'uniform'"):
        build_objective(FakeEditor(), _photo(), ProtectSettings(objective="uniform"))  # type: ignore[arg-type]
