"""Our numbers against those of Step1X-Edit's original implementation, on random small weights.

The files hold weights under the checkpoint's own names, inputs and results; every dimension is
taken from them. The folder is the environment variable DECONTEXT_PARITY, or the copies beside this
test. The tokenizer's files are not ours to ship: DECONTEXT_QWEN_TOKENIZER names a folder of them.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from tiny_step1x import HeldTensors
from torch import Tensor

from decontext.editors import Prompt
from decontext.editors.flux import family
from decontext.editors.flux.engine import FluxEngine
from decontext.editors.step1x.parts import Body, Parts
from decontext.editors.step1x.pixels import GRID, fit
from decontext.editors.step1x.sampling import schedule
from decontext.editors.step1x.text import DROPPED, TextSide, read_prefix
from decontext.editors.step1x.versions import V1_0, V1_1
from decontext.editors.step1x.weights import read_layout
from decontext.editors.step1x_edit import Step1XEditor
from decontext.editors.weights.transformer import LoadedTransformer

FOLDER = Path(os.environ.get("DECONTEXT_PARITY") or Path(__file__).parent / "data")
FILES = sorted(FOLDER.glob("step1x_edit*.safetensors"))
TOKENIZER = os.environ.get("DECONTEXT_QWEN_TOKENIZER", "")
CASES = json.loads((FOLDER / "step1x_edit_prompt_tokens.json").read_text(encoding="utf-8"))["cases"]
PREFIX_OF_WEIGHTS = "weights."
VERSIONS = {"v1.0": V1_0, "v1.1": V1_1}


@dataclass(frozen=True)
class Original:
    """One file: the original's inputs and outputs, and our editor over the same weights."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    body: Body
    editor: Step1XEditor

    @property
    def sigma(self) -> float:
        return float(self.config["sigma"])

    @property
    def noise(self) -> Tensor:
        return self.tensors["inputs.noise_latents"]

    @property
    def prompts(self) -> list[Prompt]:
        """The instruction and the empty one; without their padding, which our editor adds."""
        lengths = self.tensors["inputs.llm_mask"].sum(1)
        states = self.tensors["inputs.llm_states"]
        return [
            Prompt("", {"states": row[:length]})
            for row, length in zip(states, lengths, strict=True)
        ]

    def attend(self) -> tuple[Tensor, Tensor]:
        """Context proportion of single blocks 0 and 1, and their mean's gradient, as tokens."""
        context = self.tensors["inputs.context_latents"].clone().requires_grad_()
        blocks = [self.config["depth"], self.config["depth"] + 1]
        proportions = self.editor.attend_latents(
            context, self.prompts[0], self.sigma, self.noise, blocks
        )
        (gradient,) = torch.autograd.grad(proportions.mean(), context)
        return proportions.detach(), family.pack(gradient)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def original(request: pytest.FixtureRequest) -> Original:
    with safe_open(request.param, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    version = VERSIONS[config["version"]]
    files = HeldTensors(
        {
            name.removeprefix(PREFIX_OF_WEIGHTS): tensor
            for name, tensor in tensors.items()
            if name.startswith(PREFIX_OF_WEIGHTS)
        }
    )
    layout = read_layout(
        files,
        scaled=version.scaled,
        rope=tuple(config["axes_dim"]),
        heads=config["connector_heads"],
    )
    transformer = LoadedTransformer(
        layout.config,
        layout.transformer,
        editor="the test",
        device=torch.device("cpu"),
        precision="float32",
        stream=False,
    )
    positions = config["text_tokens"]
    vae = SimpleNamespace(
        config=SimpleNamespace(block_out_channels=(1,) * 4),
        encoder=SimpleNamespace(),
        parameters=tuple,
        dtype=torch.float32,
    )
    engine = FluxEngine(
        transformer, vae, shift=version.shift, square=(96, 96), text_tokens=positions
    )
    body = Body(engine, layout.load_connector(torch.device("cpu")))
    parts = Parts(lambda: body, lambda: pytest.fail("no text is read here"), together=True)
    editor = Step1XEditor(parts, version=replace(version, positions=positions))
    return Original(config, tensors, body, editor)


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Within 1e-4 of the whole, by the lengths of both."""
    assert found.shape == expected.shape
    assert (found - expected).norm() / expected.norm() < 1e-4


def test_step1x_edit_parity_files_are_there() -> None:
    assert {json.loads(_metadata(path))["version"] for path in FILES} == {"v1.0", "v1.1"}


def _metadata(path: Path) -> str:
    with safe_open(path, "pt") as file:
        config: str = file.metadata()["config"]
    return config


def test_step1x_edit_parity_of_connector(original: Original) -> None:
    states, mask = original.tensors["inputs.llm_states"], original.tensors["inputs.llm_mask"]
    sigma = torch.full((len(states),), original.sigma)
    with torch.no_grad():
        text, pooled = original.body.connector(states, sigma, mask.bool())
    assert_near(text, original.tensors["outputs.connector_text"])
    assert_near(pooled, original.tensors["outputs.connector_pooled"])


def test_step1x_edit_parity_of_position_ids(original: Original) -> None:
    context = original.tensors["inputs.context_latents"]
    shift = VERSIONS[original.config["version"]].shift
    ids = family.position_ids(original.noise, context, shift=shift, like=context)
    assert torch.equal(ids, original.tensors["outputs.img_ids"])


def test_step1x_edit_parity_of_prediction(original: Original) -> None:
    """The whole output of the first pass, with the instruction and without."""
    engine = original.body.engine
    engine.settle()
    engine.transformer.load_everything()
    body, context = original.editor.parts.body, original.tensors["inputs.context_latents"]
    text = original.editor._connect(body, original.prompts, original.sigma, context)
    run, _ = engine.prepare_pass(context, original.noise, text, original.sigma)
    with torch.no_grad():
        assert_near(run(), original.tensors["outputs.prediction"])


def test_step1x_edit_parity_of_context_proportion(original: Original) -> None:
    proportions, _ = original.attend()
    assert_near(proportions, original.tensors["outputs.context_proportion"])


def test_step1x_edit_parity_of_gradient(original: Original) -> None:
    _, gradient = original.attend()
    assert_near(gradient, original.tensors["outputs.context_gradient_packed"])


def test_step1x_edit_parity_of_schedule(original: Original) -> None:
    expected = original.config["schedule"]
    rows, columns = original.config["target_tokens_hw"]
    found = schedule(len(expected) - 1, rows * columns)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=1e-6, rtol=1e-6)


def test_step1x_edit_parity_of_guided_denoising(original: Original) -> None:
    with torch.no_grad():
        latents = original.editor._denoise(
            original.noise,
            original.tensors["inputs.context_latents"],
            original.prompts,
            original.config["schedule"],
            original.config["guidance"],
        )
    assert_near(family.pack(latents), original.tensors["outputs.denoised_packed"])


def test_step1x_edit_parity_of_prefix() -> None:
    stored = (FOLDER / "step1x_edit_prompt_prefix.txt").read_text(encoding="utf-8")
    assert read_prefix() == stored


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['prompt'][:12]} {c['width']}")
def test_step1x_edit_parity_of_picture_size(case: dict[str, Any]) -> None:
    width, height = fit(case["width"], case["height"])
    assert (width, height) == (case["vlm_width"], case["vlm_height"])
    assert width * height // GRID.token**2 == case["image_tokens"]


@pytest.fixture(scope="module")
def text_side() -> TextSide:
    from transformers import Qwen2Tokenizer

    if not TOKENIZER:
        pytest.skip("DECONTEXT_QWEN_TOKENIZER names no folder")
    return TextSide(torch.nn.Identity(), Qwen2Tokenizer.from_pretrained(TOKENIZER))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['prompt'][:12]} {c['width']}")
def test_step1x_edit_parity_of_token_ids(text_side: TextSide, case: dict[str, Any]) -> None:
    ids = text_side.tokenise(case["prompt"], case["image_tokens"])
    assert len(ids) == case["length"]
    assert len(ids) - DROPPED == case["kept_after_217"]
    assert ids.count(151655) == case["image_tokens"]
    assert ids[ids.index(151653) :] == case["tail_after_vision_end"]
