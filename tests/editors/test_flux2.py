"""FLUX.2 against diffusers' own pipelines, on small random weights in the published layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers_oracle import Calls, explicit_proportion, finite_difference, same_inputs
from tiny_flux2 import build_tiny_flux2, save_tiny_flux2
from torch import Tensor

from decontext.editors import load_editor
from decontext.editors.flux import family
from decontext.editors.flux2.kind import DEV, KLEIN
from decontext.editors.flux2.loading import from_pipeline
from decontext.editors.flux2_klein import INFO
from decontext.errors import EditorError, InputError

TEXT = "make her smile"
VARIANTS = ("klein", "klein-base", "dev")


def build(variant: str):
    """Pipeline and editor."""
    pipeline = build_tiny_flux2(variant.split("-")[0], distilled=variant == "klein")
    recipe = DEV if variant == "dev" else KLEIN
    return pipeline, from_pipeline(pipeline, INFO, recipe)


def photo(width: int, height: int, seed: int = 0) -> Tensor:
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return noise.mul(255).round().div(255)


def edit_once(pipeline, pictures, noise: Tensor, **options) -> Calls:
    with Calls().watching(pipeline.transformer) as calls:
        pipeline(
            image=[family.to_pillow(picture) for picture in pictures],
            prompt=TEXT,
            latents=noise,
            num_inference_steps=1,
            output_type="latent",
            **options,
        )
    return calls


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("others", "place"), [(0, 0), (1, 0), (1, 1), (2, 1)])
def test_prediction_is_that_of_the_ordinary_pipeline(variant: str, others: int, place: int) -> None:
    pipeline, editor = build(variant)
    image, beside = photo(100, 70), [photo(80, 91, seed=2), photo(64, 64, seed=3)][:others]
    editor = editor.among(beside, place)
    size = editor.working_size(100, 70)
    assert size == (96, 64)
    noise = editor.draw_noise(size, torch.Generator().manual_seed(1))
    pictures = [*beside[:place], image, *beside[place:]]
    calls = edit_once(pipeline, pictures, noise, height=size[1], width=size[0])
    theirs, output = calls[0]  # the second is the one with the empty instruction
    assert len(calls) == (2 if variant == "klein-base" else 1)
    with Calls().watching(pipeline.transformer) as own, torch.no_grad():
        velocity = editor.predict(image, editor.encode_prompt(TEXT), 1.0, noise)
    same_inputs(own[0][0], theirs)
    expected = output[:, : velocity.shape[-1] * velocity.shape[-2]].transpose(1, 2)
    torch.testing.assert_close(velocity.flatten(2), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("place", [0, 1])
def test_proportion_is_that_of_an_explicit_softmax(place: int) -> None:
    _, editor = build("klein")
    image, other = photo(100, 70), photo(80, 91, seed=2)
    editor = editor.among([other], place)
    noise = editor.draw_noise((96, 64), torch.Generator().manual_seed(1))
    prompt = editor.encode_prompt(TEXT)
    with torch.no_grad():
        measured = editor.attend(image, prompt, 0.99, noise, range(5))
    target, context, beside = 6 * 4, 6 * 4, 5 * 5
    start = 512 + target + place * beside
    expected = explicit_proportion(
        lambda: editor.predict(image, prompt, 0.99, noise),
        slice(512, 512 + target),
        slice(start, start + context),
        512 + target + context + beside,
    )
    assert len(expected) == 5
    torch.testing.assert_close(measured, torch.stack(expected), atol=1e-6, rtol=1e-5)


def test_gradient_is_that_of_finite_differences() -> None:
    pipeline = build_tiny_flux2("klein").to(torch.float64)
    editor = from_pipeline(pipeline, INFO, KLEIN)
    image = photo(90, 70).double()
    noise = editor.draw_noise((80, 64), torch.Generator().manual_seed(1)).double()
    prompt = editor.encode_prompt(TEXT)

    def function(pixels: Tensor) -> Tensor:
        return editor.attend(pixels, prompt, 0.98, noise, (0, 1, 3)).mean()

    leaf = (image * 0.8 + 0.1).requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf), leaf)
    for seed in range(3):
        direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).double()
        slope = finite_difference(function, leaf.detach(), direction)
        torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(
    ("width", "height"), [(1500, 1000), (1024, 1024), (640, 481), (3000, 400), (1025, 1024)]
)
def test_working_size_and_pixels_are_those_of_the_ordinary_pipeline(width, height) -> None:
    pipeline, editor = build("klein")
    seen: list[Tensor] = []
    pipeline._encode_vae_image = lambda image, generator: seen.append(image) or stop()
    image = photo(width, height)
    with pytest.raises(StopIteration):
        pipeline(image=family.to_pillow(image), prompt_embeds=torch.zeros(1, 4, 48))
    size = editor.working_size(width, height)
    assert size == (seen[0].shape[-1], seen[0].shape[-2])
    ours = editor._engine.wiring.bring(image, size)
    theirs = (seen[0] / 2 + 0.5) * 255
    # Pillow rounds to levels between and after its two passes.
    assert float(((ours * 255).round() - theirs).abs().max()) < 1.01


def stop() -> None:
    raise StopIteration


@pytest.mark.parametrize("side", [64, 128])
def test_any_size_can_be_asked_for(side: int) -> None:
    _, editor = build("klein")
    width, height = editor.working_size(100, 50, side)
    assert width % 16 == height % 16 == 0 and 0.5 < width * height / side**2 <= 1
    context = editor.encode_image(photo(100, 50), (width, height))
    assert context.shape == (1, 128, height // 16, width // 16)


@pytest.mark.parametrize("variant", VARIANTS)
def test_edit_is_that_of_the_ordinary_pipeline(variant: str) -> None:
    pipeline, editor = build(variant)
    image = photo(100, 70)
    done: list[tuple[int, int]] = []
    edited = editor.edit(image, TEXT, seed=3, steps=2, on_step=lambda *step: done.append(step))
    assert edited.shape == (1, 3, 64, 96) and done == [(1, 2), (2, 2)]
    expected = pipeline(
        image=family.to_pillow(image),
        prompt=TEXT,
        num_inference_steps=2,
        guidance_scale=1.0 if variant == "klein" else 4.0,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
    ).images
    torch.testing.assert_close(edited, expected.float(), atol=1e-5, rtol=0)


def test_photos_that_flux2_refuses_are_named() -> None:
    _, editor = build("klein")
    with pytest.raises(InputError, match="FLUX.2 edits photos of at least 64 pixels a side"):
        editor.edit(photo(63, 200), TEXT, steps=1)


def test_photos_place_is_checked() -> None:
    _, editor = build("klein")
    with pytest.raises(InputError, match="the photo's place is 2; beside 1 pictures"):
        editor.among([photo(64, 64)], 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_flux2(tmp_path_factory.mktemp("klein"))


def measure(editor, *, blocks=(0, 3)) -> tuple[Tensor, Tensor]:
    image = photo(100, 70).requires_grad_()
    noise = editor.draw_noise((96, 64), torch.Generator().manual_seed(1))
    value = editor.attend(image, editor.encode_prompt(TEXT), 0.99, noise, blocks)
    return value.detach(), torch.autograd.grad(value.sum(), image)[0]


def test_folder_gives_the_numbers_of_the_pipeline_in_memory(folder: Path) -> None:
    _, resident = build("klein")
    loaded = load_editor("flux2-klein", source=folder, device="cpu", dtype="float32")
    for mine, other in zip(measure(loaded), measure(resident), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-7, rtol=1e-5)
    assert (loaded.info.double_blocks, loaded.info.single_blocks) == (2, 3)


@pytest.mark.parametrize("precision", ["float32", "int8", "nf4"])
def test_streamed_weights_give_the_same_numbers(folder: Path, precision: str) -> None:
    plain, streamed = (
        load_editor(
            "flux2-klein", source=folder, device="cpu", dtype=precision, stream_weights=stream
        )
        for stream in (False, True)
    )
    for mine, other in zip(measure(streamed), measure(plain), strict=True):
        assert torch.equal(mine, other)
    best = plain.for_measuring()
    assert (best is plain) == (precision == "float32")
    reference = load_editor("flux2-klein", source=folder, device="cpu", dtype="float32")
    torch.testing.assert_close(measure(best)[0], measure(reference)[0])


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder"])
def test_missing_weights_are_named(folder: Path, tmp_path: Path, part: str) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    (file,) = (copied / part).glob("*.safetensors")
    file.unlink()
    with pytest.raises(EditorError, match=part):
        load_editor("flux2-klein", source=copied, device="cpu").encode_prompt(TEXT)


def test_weights_of_another_size_are_refused(folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    config = copied / "transformer" / "config.json"
    content = json.loads(config.read_text()) | {"joint_attention_dim": 32}
    config.write_text(json.dumps(content))
    editor = load_editor("flux2-klein", source=copied, device="cpu")
    with pytest.raises(EditorError, match="the weight context_embedder.weight is"):
        measure(editor)
