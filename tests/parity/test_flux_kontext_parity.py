"""Our numbers against those of the original DeContext code, on its random small FLUX Kontext.

The files hold weights, inputs and results; every dimension is taken from them. The folder is the
environment variable DECONTEXT_PARITY, or the copies beside this test.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxTransformer2DModel,
)
from parity.stored_picture import read_pixels
from safetensors import safe_open
from torch import Tensor

from decontext.editors import Prompt
from decontext.editors.flux.family import pack
from decontext.editors.flux_kontext import FluxKontextEditor

FOLDER = Path(os.environ.get("DECONTEXT_PARITY") or Path(__file__).parent / "data")
FILES = sorted(FOLDER.glob("flux_kontext*.safetensors"))
STEP_SIZE = 0.005
BUDGET = 0.1
UPDATES = 3


@dataclass(frozen=True)
class Original:
    """One file: the original's inputs and outputs, and our editor over the same weights.

    `pixels` is the input picture, float32 in [-1, 1] as in the original.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    editor: FluxKontextEditor
    pixels: Tensor

    @property
    def prompt(self) -> Prompt:
        embeddings = self.tensors["inputs.prompt_embeds"]
        ids = torch.zeros(embeddings.shape[1], 3)
        pooled = self.tensors["inputs.pooled"]
        return Prompt("", {"embeddings": embeddings, "pooled": pooled, "ids": ids})

    def attend(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Context proportion over the original's blocks, and its gradient to the pixels."""
        double = self.config["transformer"]["num_layers"]
        blocks = [double + block for block in self.config["single_blocks"]]
        pixels = pixels.detach().requires_grad_()
        sigma = self.config["timestep"] / 1000
        noise = self.tensors["inputs.noise_latents"]
        proportion = self.editor.attend((pixels + 1) / 2, self.prompt, sigma, noise, blocks).mean()
        (gradient,) = torch.autograd.grad(proportion, pixels)
        return proportion.detach(), gradient


@dataclass(frozen=True)
class Updates:
    """The original's loop with our gradient: its pictures (start first) and proportions."""

    pictures: list[Tensor]
    proportions: list[Tensor]
    gradients: list[Tensor]


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def original(request: pytest.FixtureRequest) -> Original:
    with safe_open(request.param, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    parts: dict[str, Any] = {
        "transformer": FluxTransformer2DModel(**config["transformer"]),
        "vae": AutoencoderKL(**config["vae"]),
    }
    for part, module in parts.items():
        prefix = f"{part}."
        module.load_state_dict(
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )
    absent = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
    pipeline = FluxKontextPipeline(
        **parts, scheduler=FlowMatchEulerDiscreteScheduler(), **dict.fromkeys(absent)
    )
    editor = FluxKontextEditor(pipeline)
    editor.working_size = lambda width, height: (width, height)  # the original never resizes
    return Original(config, tensors, editor, read_pixels(tensors["inputs.image"]))


@pytest.fixture(scope="module")
def updates(original: Original) -> Updates:
    """Sign steps down the proportion; the budget is clamped first, then the range."""
    result = Updates([original.pixels], [], [])
    for _ in range(UPDATES):
        proportion, gradient = original.attend(result.pictures[-1])
        stepped = result.pictures[-1] - STEP_SIZE * gradient.sign()
        perturbation = (stepped - original.pixels).clamp(-BUDGET, BUDGET)
        result.pictures.append((original.pixels + perturbation).clamp(-1, 1))
        result.proportions.append(proportion)
        result.gradients.append(gradient)
    return result


def test_flux_kontext_parity_files_are_there() -> None:
    assert FILES, f"no flux_kontext*.safetensors in {FOLDER}"


def test_flux_kontext_parity_of_context_proportion(original: Original, updates: Updates) -> None:
    expected = original.tensors["outputs.context_proportion"]
    torch.testing.assert_close(updates.proportions[0], expected, atol=1e-5, rtol=0)


def test_flux_kontext_parity_of_pixel_gradient(original: Original, updates: Updates) -> None:
    expected = original.tensors["outputs.pixel_gradient_pm1_x1e4"].float() / 1e4
    assert (updates.gradients[0] - expected).norm() / expected.norm() < 1e-3


def test_flux_kontext_parity_of_proportions_over_updates(
    original: Original, updates: Updates
) -> None:
    expected = original.tensors["outputs.context_proportion_over_3_updates"]
    torch.testing.assert_close(torch.stack(updates.proportions), expected, atol=1e-5, rtol=0)


def test_flux_kontext_parity_of_picture_after_three_updates(
    original: Original, updates: Updates
) -> None:
    """Equal in 99.9 % of pixel values (height x width x 3), in units of the step size."""
    steps = ((updates.pictures[-1] - original.pixels) / STEP_SIZE).round()
    expected = original.tensors["outputs.perturbation_after_3_updates"].float()
    assert (steps == expected).float().mean() >= 0.999


def test_flux_kontext_parity_of_prediction(original: Original) -> None:
    """The files hold the whole output of the first forward pass; its target tokens come first."""
    noise = original.tensors["inputs.noise_latents"]
    with torch.no_grad():
        velocity = original.editor.predict(
            (original.pixels + 1) / 2, original.prompt, original.config["timestep"] / 1000, noise
        )
    tokens = pack(velocity)
    expected = original.tensors["outputs.prediction"][:, : tokens.shape[1]]
    assert (tokens - expected).norm() / expected.norm() < 1e-4


def test_flux_kontext_parity_of_context_latents(original: Original, updates: Updates) -> None:
    """The files hold the context latents of the last forward pass, that of the third update."""
    latents = original.editor.encode_image((updates.pictures[-2] + 1) / 2)
    expected = original.tensors["outputs.context_latents"]
    assert (latents - expected).norm() / expected.norm() < 1e-3
