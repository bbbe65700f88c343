"""FLUX.1 Kontext's editor file over a small random pipeline in the published layout."""

import json
import math
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import (
    DOUBLE_BLOCKS,
    SINGLE_BLOCKS,
    TEXT_TOKENS,
    build_tiny_pipeline,
    save_tiny_pipeline,
)

from decontext.attention import resolve_blocks
from decontext.editors import load_editor
from decontext.editors.flux_kontext import FluxKontextEditor
from decontext.errors import EditorError, InputError

ALL = resolve_blocks("all", DOUBLE_BLOCKS, SINGLE_BLOCKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_pipeline(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def editor(folder: Path) -> FluxKontextEditor:
    return load_editor("flux-kontext", source=folder, device="cpu")


def photo(width: int = 64, height: int = 64, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def noise_for(editor: FluxKontextEditor, image: torch.Tensor, *, seed: int = 1) -> torch.Tensor:
    size = editor.working_size(image.shape[-1], image.shape[-2])
    return editor.draw_noise(size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 64), (80, 48), (37, 91), (301, 200)])
def test_gradient_reaches_every_pixel(editor: FluxKontextEditor, size) -> None:
    image = photo(*size).requires_grad_()
    prompt = editor.encode_prompt("smile")
    proportions = editor.attend(image, prompt, 0.99, noise_for(editor, image), ALL)
    assert proportions.shape == (len(ALL),) and proportions.dtype == torch.float32
    assert ((proportions > 0) & (proportions < 1)).all()
    proportions.mean().backward()
    assert torch.isfinite(image.grad).all()
    assert (image.grad != 0).float().mean() > 0.99


def test_same_generator_gives_the_same_numbers(editor: FluxKontextEditor) -> None:
    image, prompt = photo(), editor.encode_prompt("smile")
    first, second, other = (
        editor.attend(image, prompt, 0.99, noise_for(editor, image, seed=seed), ALL)
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_prompt_sigma_and_photo_all_matter(editor: FluxKontextEditor) -> None:
    image, prompt = photo(), editor.encode_prompt("smile")
    noise = noise_for(editor, image)
    first = editor.attend(image, prompt, 0.99, noise, ALL)
    for changed in (
        editor.attend(image, editor.encode_prompt("red hat"), 0.99, noise, ALL),
        editor.attend(image, prompt, 0.5, noise, ALL),
        editor.attend(photo(seed=9), prompt, 0.99, noise, ALL),
    ):
        assert not torch.equal(first, changed)


def test_measured_blocks_do_not_depend_on_which_others_are_measured(
    editor: FluxKontextEditor,
) -> None:
    image, prompt = photo(), editor.encode_prompt("smile")
    noise = noise_for(editor, image)
    together = editor.attend(image, prompt, 0.99, noise, ALL)
    alone = [editor.attend(image, prompt, 0.99, noise, (block,)) for block in ALL]
    assert torch.equal(torch.cat(alone), together)


def test_checkpointing_changes_no_number(folder: Path) -> None:
    results = []
    for checkpointing in (False, True):
        editor = FluxKontextEditor(build_tiny_pipeline(), checkpointing=checkpointing)
        image = photo(80, 48).requires_grad_()
        prompt = editor.encode_prompt("smile")
        proportions = editor.attend(image, prompt, 0.99, noise_for(editor, image), (1, 3))
        proportions.sum().backward()
        velocity = editor.predict(image, prompt, 0.9, noise_for(editor, image))
        results.append((proportions.detach(), image.grad, velocity.detach()))
    for plain, checkpointed in zip(*results, strict=True):
        assert torch.equal(plain, checkpointed)


def test_bfloat16_agrees_with_float32(folder: Path, editor: FluxKontextEditor) -> None:
    rough = load_editor("flux-kontext", source=folder, device="cpu", dtype="bfloat16")
    gradients, proportions = [], []
    for either in (editor, rough):
        image = photo().requires_grad_()
        prompt = either.encode_prompt("smile")
        measured = either.attend(image, prompt, 0.984375, noise_for(either, image), ALL)
        measured.mean().backward()
        gradients.append(image.grad.flatten())
        proportions.append(measured.detach())
    torch.testing.assert_close(*proportions, atol=2e-2, rtol=0)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.95


def test_half_precision_files_are_computed_in_float32(tmp_path: Path) -> None:
    build_tiny_pipeline().to(torch.float16).save_pretrained(tmp_path)
    editor = load_editor("flux-kontext", source=tmp_path, device="cpu")
    models = [m for m in editor._pipeline.components.values() if isinstance(m, torch.nn.Module)]
    assert {weight.dtype for model in models for weight in model.parameters()} == {torch.float32}


def test_weights_are_frozen_and_nothing_but_the_photo_gets_a_gradient(
    editor: FluxKontextEditor,
) -> None:
    for part in editor._pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            assert not part.training
            assert not any(weight.requires_grad for weight in part.parameters())


def test_predicted_velocity_is_what_an_ordinary_edit_steps_along(
    editor: FluxKontextEditor,
) -> None:
    """One step of the ordinary edit from sigma 1 to 0 is the noise minus the velocity."""
    image, prompt, seed = photo(64, 64), editor.encode_prompt("smile"), 3
    levels = (image * 255).round() / 255
    noise = noise_for(editor, image, seed=seed)
    with torch.no_grad():
        latents = noise - editor.predict(levels, prompt, 1.0, noise)
        config = editor._vae.config
        decoded = editor._vae.decode(latents / config.scaling_factor + config.shift_factor).sample
    edited = editor.edit(image, "smile", seed=seed, steps=1)
    torch.testing.assert_close(edited, (decoded / 2 + 0.5).clamp(0, 1), atol=1e-4, rtol=0)


def test_flow_matching_gradient_reaches_the_photo(editor: FluxKontextEditor) -> None:
    image = photo(80, 48).requires_grad_()
    noise = noise_for(editor, image)
    velocity = editor.predict(image, editor.encode_prompt("smile"), 0.9, noise)
    assert velocity.shape == noise.shape
    velocity.square().mean().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(64, 64), (80, 48), (200, 333), (60, 1000)])
def test_edit_has_the_working_size(editor: FluxKontextEditor, size, capfd) -> None:
    steps: list[tuple[int, int]] = []
    edited = editor.edit(photo(*size), "smile", steps=2, on_step=lambda *s: steps.append(s))
    width, height = editor.working_size(*size)
    assert edited.shape == (1, 3, height, width)
    assert edited.dtype == torch.float32 and 0 <= edited.min() and edited.max() <= 1
    assert steps == [(1, 2), (2, 2)]
    assert "have been adjusted" not in capfd.readouterr().err


def test_edit_depends_on_seed_photo_prompt_and_guidance(editor: FluxKontextEditor) -> None:
    edits = [
        editor.edit(photo(), "smile", steps=2),
        editor.edit(photo(), "smile", steps=2, seed=1),
        editor.edit(photo(seed=9), "smile", steps=2),
        editor.edit(photo(), "red hat", steps=2),
        editor.edit(photo(), "smile", steps=2, guidance=10.0),
    ]
    assert torch.equal(edits[0], editor.edit(photo(), "smile", steps=2))
    assert not any(torch.equal(edits[0], other) for other in edits[1:])


def test_edit_sees_the_photo_as_pillow_resizes_it(editor: FluxKontextEditor, monkeypatch) -> None:
    seen = []
    original = editor._pipeline.image_processor.preprocess

    def preprocess(image, *arguments, **options):
        seen.append(np.asarray(image[0] if isinstance(image, list) else image))
        return original(image, *arguments, **options)

    monkeypatch.setattr(editor._pipeline.image_processor, "preprocess", preprocess)
    image = photo(200, 150)
    editor.edit(image, "smile", steps=1)
    levels = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    size = editor.working_size(200, 150)
    expected = Image.fromarray(levels).resize(size, Image.Resampling.LANCZOS)
    assert np.array_equal(seen[0], np.asarray(expected))


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_empty_instruction_is_refused(editor: FluxKontextEditor, text: str) -> None:
    for call in (lambda: editor.encode_prompt(text), lambda: editor.edit(photo(), text)):
        with pytest.raises(InputError, match="instruction is empty"):
            call()


def test_text_is_padded_to_the_tokenizers_length(editor: FluxKontextEditor) -> None:
    prompt = editor.encode_prompt("hi")
    assert prompt.text == "hi"
    assert prompt.tensors["embeddings"].shape[1] == TEXT_TOKENS


@pytest.mark.parametrize("ratio", [0.01, 0.2, 0.5, 0.75, 1, 1.3, 2, 7, 90])
def test_small_editors_keep_area_and_ratio(ratio: float) -> None:
    editor = FluxKontextEditor(build_tiny_pipeline(sample_size=128))
    width, height = editor.working_size(round(1000 * ratio), 1000)
    assert width % 16 == height % 16 == 0 and min(width, height) >= 48
    assert abs(math.log(width * height / 128**2)) < 0.3
    if 0.2 <= ratio <= 5:
        assert abs(math.log(width / height / ratio)) < 0.25


def test_megapixel_editors_use_the_pipelines_preferred_sizes() -> None:
    editor = FluxKontextEditor(build_tiny_pipeline(sample_size=1024))
    assert editor.working_size(512, 512) == (1024, 1024)
    assert editor.working_size(4000, 3000) == (1184, 880)
    assert editor.working_size(300, 900) == (672, 1568)


def test_other_latent_channels_and_no_guidance_work() -> None:
    editor = FluxKontextEditor(build_tiny_pipeline(latent_channels=32, guidance_embeds=False))
    image = photo().requires_grad_()
    noise = noise_for(editor, image)
    assert noise.shape == (1, 32, 8, 8)
    editor.attend(image, editor.encode_prompt("x"), 1.0, noise, (0,)).sum().backward()
    assert image.grad.abs().sum() > 0
    assert editor.edit(photo(), "x", steps=1).shape == (1, 3, 64, 64)


def test_info_counts_the_blocks_of_the_weights(editor: FluxKontextEditor, folder: Path) -> None:
    assert (editor.info.double_blocks, editor.info.single_blocks) == (2, 3)
    assert editor.info.weights == str(folder)


PARTS = ["scheduler", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "vae"]
PARTS.append("transformer")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize("part", PARTS)
def test_missing_part_is_named(copied: Path, part: str) -> None:
    shutil.rmtree(copied / part)
    with pytest.raises(EditorError, match=f"the part '{part}' is missing"):
        load_editor("flux-kontext", source=copied, device="cpu")


@pytest.mark.parametrize("part", ["text_encoder", "text_encoder_2", "vae", "transformer"])
@pytest.mark.parametrize("damage", ["truncated", "gone", "half of the weights", "config"])
def test_damaged_part_is_named(copied: Path, part: str, damage: str) -> None:
    from safetensors.torch import load_file, save_file

    (weights,) = (copied / part).glob("*.safetensors")
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "gone":
        weights.unlink()
    elif damage == "config":
        (copied / part / "config.json").write_text("{")
    else:
        tensors = load_file(weights)
        half = sorted(tensors)[: len(tensors) // 2]
        save_file({name: tensors[name] for name in half}, weights, metadata={"format": "pt"})
    with pytest.raises(EditorError, match=f"the part '{part}' of"):
        load_editor("flux-kontext", source=copied, device="cpu")


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2"])
def test_damaged_tokenizer_is_named(copied: Path, part: str) -> None:
    (copied / part / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(EditorError, match=f"the part '{part}' of"):
        load_editor("flux-kontext", source=copied, device="cpu")


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="there is no folder"):
        load_editor("flux-kontext", source=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "warp"}, "no device is named 'warp'"),
        ({"device": "cpu", "dtype": "float16"}, "the precision is float16"),
    ],
)
def test_unknown_device_or_precision_is_refused(folder: Path, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_editor("flux-kontext", source=folder, **options)


def test_loading_and_editing_are_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        editor = load_editor("flux-kontext", source=folder, device="cpu")
        editor.encode_prompt("smile " * 300)
        editor.edit(photo(), "smile", steps=1)
    output = capfd.readouterr()
    assert output.out == "" and output.err == ""
