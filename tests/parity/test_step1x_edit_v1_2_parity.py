"""Step1X-Edit v1.2 against the program of its authors, on random small weights.

The file holds what their pipeline computed, in float32, over the very models that
`save_tiny_step1x_v1_2` writes: token ids, positions, states, predictions, a whole edit in four
steps, and an explicit softmax over its queries and keys. Long rows are thinned out by `stride`. The
tokenizer's files are not ours to ship: DECONTEXT_QWEN_TOKENIZER names a folder of them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_step1x import TEMPLATE, save_tiny_step1x_v1_2
from torch import Tensor

from decontext.editors import Prompt, load_editor
from decontext.editors.flux import family
from decontext.editors.language.patches import fit
from decontext.editors.step1x.passes import connect
from decontext.editors.step1x.pixels import GRID_V1_2
from decontext.editors.step1x.sampling import schedule
from decontext.editors.step1x.text_v1_2 import DROPPED, UnpaddedTextSide, place_in_time, place_text
from decontext.editors.step1x.versions import V1_2
from decontext.editors.step1x_edit import Step1XEditor
from decontext.photo.resampling import resize

FOLDER = Path(__file__).parent / "data" / "v1_2"
TOKENIZER = os.environ.get("DECONTEXT_QWEN_TOKENIZER", "")
REAL = json.loads((FOLDER / "step1x_edit_v1.2_prompt_tokens.json").read_text(encoding="utf-8"))
with safe_open(FOLDER / "step1x_edit_v1.2.safetensors", "pt") as file:
    SAID: dict[str, Any] = json.loads(file.metadata()["config"])
    HELD = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
STRIDE = SAID["stride"]
PAD = "<|image_pad|>"


def near(found: Tensor, name: str, atol: float = 1e-5) -> None:
    """Within 1e-5 of what is stored."""
    torch.testing.assert_close(found, HELD[name], atol=atol, rtol=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_step1x_v1_2(tmp_path_factory.mktemp("parity") / "v1.2")


@pytest.fixture(scope="module")
def editor(folder: Path) -> Step1XEditor:
    loaded: Any = load_editor("step1x-edit-v1.2", source=folder, device="cpu")
    loaded._side = SAID["side"]
    assert loaded.parts.body.mapping is not None
    return loaded


@pytest.fixture(scope="module")
def photo() -> Tensor:
    width, height = SAID["photo"]
    generator = torch.Generator().manual_seed(SAID["photo_seed"])
    return (torch.rand(1, 3, height, width, generator=generator) * 255).round() / 255


@pytest.fixture(scope="module")
def context(editor: Step1XEditor, photo: Tensor) -> Tensor:
    return editor.encode_image(photo)


@pytest.fixture(scope="module")
def prompts(editor: Step1XEditor, photo: Tensor) -> list[Prompt]:
    """The instruction and the empty one, with the photo as an edit shows it."""
    shown = family.from_pillow(family.resize_for_edit(photo, editor.working_size))
    look = editor.parts.look(shown, editor._bring)
    return [editor.parts.read(text, look) for text in (SAID["prompt"], "")]


@pytest.fixture(scope="module")
def noise(context: Tensor) -> Tensor:
    """That of the program, which draws once for its autoencoder before."""
    generator = torch.Generator().manual_seed(SAID["seed"])
    torch.randn(context.shape, generator=generator)
    return torch.randn(context.shape, generator=generator)


def test_models_are_those_that_the_program_had(folder: Path) -> None:
    for part, total in SAID["fingerprint"].items():
        tensors = load_file(next((folder / part).glob("*.safetensors")))
        found = sum(float(tensor.double().abs().sum()) for tensor in tensors.values())
        assert found == pytest.approx(total, rel=1e-7), part


@pytest.mark.parametrize(("row", "name"), [(0, "prompt"), (1, "empty")])
def test_question_and_its_places(
    editor: Step1XEditor, prompts: list[Prompt], context: Tensor, row: int, name: str
) -> None:
    text, prompt = editor.parts.text, prompts[row]
    assert isinstance(text, UnpaddedTextSide)
    ids, quoted = text.tokenise(prompt.text, len(prompt.photo))
    assert ids == HELD[f"{name}.ids"].tolist() and quoted == HELD[f"{name}.quoted"].tolist()
    body = editor.parts.body
    places = connect(body, V1_2, [prompt], 0.5, context).places
    assert places is not None and places.dtype == torch.float32
    near(places, f"{name}.places")
    near(prompt.tensors["states"][::STRIDE], f"{name}.states")
    pad = text._tokenizer.convert_tokens_to_ids(PAD)
    assert [at for at, number in enumerate(ids[DROPPED:]) if number == pad] == list(prompt.photo)


@pytest.mark.parametrize("number", range(len(SAID["sizes"])))
def test_places_at_any_size_of_the_photo(editor: Step1XEditor, number: int) -> None:
    """The language model sees the picture smaller or larger than the autoencoder does."""
    case = SAID["sizes"][number]
    size = editor.working_size(*case["size"], case["side"])
    assert size == tuple(case["working"])
    wide, high = (side // GRID_V1_2.token for side in fit(*size, GRID_V1_2))
    ids, _ = editor.parts.text.tokenise("smile", wide * high)
    assert ids == HELD[f"ids_{number}"].tolist()
    begin = ids.index(editor.parts.text._tokenizer.convert_tokens_to_ids(PAD))
    times = place_in_time(begin, (high, wide), len(ids), slice(DROPPED, None))
    photo = range(begin - DROPPED, begin - DROPPED + wide * high)
    near(place_text(times, photo, (high, wide), size), f"places_{number}", atol=2e-5)


@pytest.mark.parametrize("case", SAID["texts"], ids=lambda case: repr(case["text"]))
def test_quotations_are_spelled_as_there(editor: Step1XEditor, case: dict[str, Any]) -> None:
    text = editor.parts.text
    ids, quoted = text.tokenise(case["text"], 1)
    pad = text._tokenizer.convert_tokens_to_ids(PAD)
    at = ids.index(pad)
    assert ids[:at] + ids[at + 1 :] == case["ids"]
    assert [number for number, is_letter in enumerate(quoted) if is_letter] == case["quoted"]


def test_photo_reaches_the_autoencoder_as_there(
    editor: Step1XEditor, photo: Tensor, context: Tensor
) -> None:
    size = editor.working_size(*SAID["photo"])
    assert list(size) == SAID["size"]
    there = torch.nn.functional.interpolate(photo, size[::-1], mode="bilinear", antialias=True)
    torch.testing.assert_close(resize(photo, size, kernel="bilinear"), there, atol=1e-6, rtol=0)
    near(family.pack(context)[0, ::STRIDE], "context")


def test_text_tokens_and_pooled(
    editor: Step1XEditor, prompts: list[Prompt], context: Tensor
) -> None:
    editor.parts.body.engine.settle()
    text = editor._connect(editor.parts.body, prompts[:1], 1.0, context)
    near(text.tokens[0, ::STRIDE], "text_tokens")
    near(text.tokens[0, HELD["prompt.quoted"][DROPPED:]], "letter_tokens")
    near(text.pooled, "pooled")


def test_predictions_and_order_of_tokens(
    editor: Step1XEditor, prompts: list[Prompt], context: Tensor, noise: Tensor
) -> None:
    """Both passes of the first step; what the transformer is given, in its order."""
    engine = editor.parts.body.engine
    engine.settle()
    engine.transformer.load_everything()
    seen: dict[str, Any] = {}
    model = engine.transformer.model
    handle = model.register_forward_pre_hook(
        lambda _model, _args, options: seen.update(options), with_kwargs=True
    )
    for row, prompt in enumerate(prompts):
        text = editor._connect(editor.parts.body, [prompt], 1.0, context)
        run, layout = engine.prepare_pass(context, noise, text, 1.0)
        with torch.no_grad():
            output = run()
        assert layout.text == len(prompt.tensors["states"])
        near(output[0, : layout.target : STRIDE], f"prediction_{row}")
        assert torch.equal(seen["img_ids"], HELD["image_places"].float())
        given = torch.cat([family.pack(noise), family.pack(context)], dim=1)
        assert torch.equal(seen["hidden_states"], given)
    handle.remove()


def test_noise_levels(noise: Tensor) -> None:
    found = schedule(SAID["steps"], noise.shape[-2] * noise.shape[-1] // 4)
    torch.testing.assert_close(found, SAID["sigmas"], atol=1e-6, rtol=0)
    assert all(SAID["tamed"])  # its threshold is one of sigma, and it compares a time to 1000


def test_whole_edit(
    editor: Step1XEditor, photo: Tensor, noise: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents: list[Tensor] = []
    decode = family.decode_latents
    monkeypatch.setattr(editor, "draw_noise", lambda *_: noise)
    monkeypatch.setattr(
        family, "decode_latents", lambda vae, one: latents.append(one) or decode(vae, one)
    )
    picture = editor.edit(
        photo, SAID["prompt"], steps=SAID["steps"], guidance=SAID["guidance"], seed=0
    )
    near(family.pack(latents[0])[0, ::STRIDE], "latents", atol=5e-5)  # guided six times, up to 5
    expected = (HELD["picture"] / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(picture[0, :, 7::16, 7::16], expected, atol=1e-5, rtol=0)


def test_context_proportion_and_gradient(
    editor: Step1XEditor, prompts: list[Prompt], context: Tensor, noise: Tensor
) -> None:
    tracked = context.clone().requires_grad_()
    blocks = range(len(HELD["proportions"]))
    found = editor.attend_latents(tracked, prompts[0], SAID["sigma"], noise, blocks)
    near(found.detach(), "proportions")
    (gradient,) = torch.autograd.grad(found.mean(), tracked)
    expected = HELD["gradient"]
    off = family.pack(gradient)[0, ::STRIDE] - expected
    assert float(off.norm() / expected.norm()) < 1e-4


def test_context_proportion_with_the_photos_text_tokens(
    editor: Step1XEditor, prompts: list[Prompt], context: Tensor, noise: Tensor
) -> None:
    prompt = Prompt("", prompts[0].tensors, photo=prompts[0].photo, photo_counts=True)
    blocks = range(len(HELD["proportions"]))
    with torch.no_grad():
        found = editor.attend_latents(context, prompt, SAID["sigma"], noise, blocks)
    near(found, "proportions_with_photo_text")


@pytest.mark.parametrize("case", REAL["cases"], ids=lambda c: f"{c['prompt'][:12]} {c['width']}")
def test_token_ids_of_the_real_tokenizer(case: dict[str, Any]) -> None:
    from transformers import Qwen2Tokenizer

    wide, high = (n // GRID_V1_2.token for n in fit(case["width"], case["height"], GRID_V1_2))
    assert wide * high == case["image_tokens"]
    if not TOKENIZER:
        pytest.skip("DECONTEXT_QWEN_TOKENIZER names no folder")
    tokenizer = Qwen2Tokenizer.from_pretrained(TOKENIZER)
    tokenizer.chat_template = TEMPLATE
    text = UnpaddedTextSide(torch.nn.Identity(), tokenizer)
    ids, quoted = text.tokenise(case["prompt"], wide * high)
    pad = tokenizer.convert_tokens_to_ids(PAD)
    assert len(ids) == case["length"]
    assert [number for number in ids[DROPPED:] if number != pad] == case["kept_after_90"]
    assert [number for number, is_letter in enumerate(quoted) if is_letter] == case["quoted"]
