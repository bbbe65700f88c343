"""Step1X-Edit's editor file over small random weights in the layouts of the published ones."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_step1x import (
    FULL,
    LANGUAGE,
    OTHER_NAMES,
    TINY,
    VAE_WIDTHS,
    HeldTensors,
    as_diffusers,
    autoencoder_shapes,
    check_edit,
    connector_shapes,
    hold_shapes,
    noise_for,
    photo,
    save_tiny_step1x,
    transformer_shapes,
)

from decontext.attention import resolve_blocks
from decontext.edit import edit_without_context, find_layouts
from decontext.editors import load_editor
from decontext.editors.flux.family import prepare_transformer
from decontext.editors.step1x.pixels import GRID, fit, to_patches
from decontext.editors.step1x.sampling import guide
from decontext.editors.step1x.text import POSITIONS, spell_quoted
from decontext.editors.step1x.versions import V1_0, V1_1
from decontext.editors.step1x.weights import build_autoencoder, read_layout
from decontext.editors.step1x_edit import Step1XEditor
from decontext.editors.weights.transformer import build_flux
from decontext.errors import EditorError, InputError
from decontext.objectives import Passes, context_proportion

NAMES = {"step1x-edit": V1_1, "step1x-edit-v1.0": V1_0}
ALL = resolve_blocks("all", TINY["double"], TINY["single"])
SIDE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_step1x(tmp_path_factory.mktemp("step1x"))


@pytest.fixture(scope="module")
def editor(folder: Path) -> Step1XEditor:
    return small(load_editor("step1x-edit", source=folder, device="cpu"))


def small(editor: Any) -> Step1XEditor:
    """The editor at a size that takes no time."""
    editor._side = SIDE
    return editor


# The published files


@pytest.mark.parametrize(("version", "count"), [(V1_0, 817), (V1_1, 816)])
def test_full_size_layout_loads_strictly(version: Any, count: int) -> None:
    """All names and shapes of the published file, on the meta device."""
    shapes = transformer_shapes(**FULL) | connector_shapes(**FULL, scaled=version.scaled)
    assert len(shapes) == count
    layout = read_layout(hold_shapes(shapes), scaled=version.scaled)
    model = build_flux(layout.config)
    assert (model.config.num_layers, model.config.num_single_layers) == (19, 38)
    assert model.config.axes_dims_rope == (16, 56, 56) and not model.config.guidance_embeds
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    files = layout.transformer
    assert {name: files.read(name).shape for name in files.names()} == wanted
    assert sum(w.numel() for w in model.parameters()) == 11_891_178_560
    connector = layout.load_connector(torch.device("meta"))
    assert connector.S.input_embedder.in_features == 3584
    assert hasattr(connector, "scale_factor") == version.scaled


def test_tensors_are_those_of_the_converter_of_diffusers() -> None:
    """Its converter knows FLUX's full width only, so it is asked there: names and values."""
    from diffusers.loaders.single_file_utils import (
        convert_flux_transformer_checkpoint_to_diffusers as convert,
    )

    sizes = FULL | {"double": 1, "single": 1, "text_width": 2, "pooled": 2, "states_width": 2}
    shapes = transformer_shapes(**sizes) | connector_shapes(**sizes, scaled=False)
    tensors = {
        name: torch.arange(shape[0], dtype=torch.int16)
        .view(-1, *[1] * (len(shape) - 1))
        .expand(shape)
        for name, shape in shapes.items()
    }
    ours = read_layout(HeldTensors(tensors), scaled=False).transformer
    theirs = convert({n: t for n, t in tensors.items() if not n.startswith("connector.")})
    assert ours.names() == theirs.keys()
    assert all(torch.equal(ours.read(name), tensor) for name, tensor in theirs.items())


def test_full_size_autoencoder_is_that_of_flux() -> None:
    shapes = autoencoder_shapes((128, 256, 512, 512))
    assert len(shapes) == 244
    model = build_autoencoder({n: torch.empty(s, device="meta") for n, s in shapes.items()})
    assert sum(w.numel() for w in model.parameters()) == 83_819_683
    assert model.config.latent_channels == 16 and model.config.norm_num_groups == 32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["unknown", "missing", "shape"])
def test_unknown_missing_or_misshapen_tensor_is_named(
    folder: Path, tmp_path: Path, name: str, damage: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    path = copy / NAMES[name].file
    tensors = load_file(path)
    wrong = "connector.S.c_embedder.linear_1.weight"
    if damage == "unknown":
        wrong = "connector.S.extra.weight"
        tensors[wrong] = torch.zeros(3)
    elif damage == "missing":
        del tensors[wrong]
    else:
        tensors[wrong] = torch.zeros(3, 3)
    save_file(tensors, path)
    with pytest.raises(EditorError) as error:
        load_editor(name, source=copy, device="cpu").draw_noise((64, 64), torch.Generator())
    assert wrong.removeprefix("connector.") in str(error.value)


@pytest.mark.parametrize("name", ["double_blocks.0.img_attn.extra.weight", "guidance_in.x"])
def test_unknown_tensor_of_the_transformer_is_named(name: str) -> None:
    shapes = transformer_shapes(**TINY) | {name: (3,)}
    shapes |= connector_shapes(**TINY, scaled=False)
    with pytest.raises(EditorError, match=f"must not hold, the tensor {name}"):
        read_layout(hold_shapes(shapes), scaled=False)


def test_unknown_tensor_of_the_autoencoder_is_named() -> None:
    shapes = autoencoder_shapes(VAE_WIDTHS) | {"encoder.extra.weight": (3,)}
    with pytest.raises(EditorError, match="must not hold, the tensor encoder.extra.weight"):
        build_autoencoder({n: torch.empty(s) for n, s in shapes.items()})


def test_weights_of_the_other_version_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / V1_0.file).replace(copy / V1_1.file)
    with pytest.raises(EditorError, match="must not hold, the tensor connector.scale_factor"):
        load_editor("step1x-edit", source=copy, device="cpu").draw_noise(
            (64, 64), torch.Generator()
        )


@pytest.mark.parametrize("part", [V1_1.file, "vae.safetensors", LANGUAGE])
def test_missing_part_is_named(folder: Path, tmp_path: Path, part: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    shutil.rmtree(copy / part) if (copy / part).is_dir() else (copy / part).unlink()
    with pytest.raises(EditorError, match=part):
        load_editor("step1x-edit", source=copy, device="cpu")


def test_damaged_language_model_is_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    weights = copy / LANGUAGE / "model.safetensors"
    tensors = load_file(weights)
    tensors.pop(next(name for name in tensors if name.endswith("embed_tokens.weight")))
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(EditorError, match="1 missing weights: .*embed_tokens"):
        load_editor("step1x-edit", source=copy, device="cpu").encode_prompt("smile", photo())


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="there is no folder"):
        load_editor("step1x-edit", source=tmp_path / "nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_hub_ids_are_found_in_the_hubs_own_folder(folder: Path, tmp_path: Path, name: str) -> None:
    """As its tools keep them: files of one version, and the language model's beside them."""
    _keep(folder, tmp_path, "stepfun-ai/Step1X-Edit", (NAMES[name].file, "vae.safetensors"))
    language = folder / LANGUAGE
    _keep(language, tmp_path, "Qwen/Qwen2.5-VL-7B-Instruct", sorted(os.listdir(language)))
    editor = small(load_editor(name, device="cpu", cache=tmp_path))
    assert editor.edit(photo(), "smile", steps=1).shape[1] == 3
    assert editor.info.weights == "stepfun-ai/Step1X-Edit"


def test_hub_that_is_out_of_reach_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="the hub is out of reach|could not be had"):
        load_editor("step1x-edit", device="cpu", cache=tmp_path)


def _keep(folder: Path, cache: Path, repository: str, names: Any) -> None:
    """Files in the layout of the hub's cache."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    snapshot = place / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name in names:
        shutil.copy(folder / name, snapshot / name)


def test_layout_of_diffusers_gives_the_same_numbers(
    folder: Path, editor: Step1XEditor, tmp_path: Path
) -> None:
    other = small(load_editor("step1x-edit", source=_as_diffusers(folder, tmp_path), device="cpu"))
    image = photo()
    noise = noise_for(editor, image)
    first, second = (
        one.attend(image, one.encode_prompt("smile", image), 0.99, noise, ALL)
        for one in (editor, other)
    )
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def _as_diffusers(folder: Path, target: Path) -> Path:
    """The same weights as the repository in diffusers' layout holds them: eight other names."""
    renamed = as_diffusers(load_file(folder / V1_1.file))
    assert sum(layer in name for layer in OTHER_NAMES.values() for name in renamed) == 8
    for part in ("transformer", "processor"):
        (target / part).mkdir()
    names = sorted(renamed)
    places = {}
    for number, half in enumerate((names[::2], names[1::2]), start=1):
        shard = f"diffusion_pytorch_model-{number:05}-of-00002.safetensors"
        save_file({name: renamed[name] for name in half}, target / "transformer" / shard)
        places |= dict.fromkeys(half, shard)
    index = target / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    build_autoencoder(load_file(folder / "vae.safetensors")).save_pretrained(target / "vae")
    shutil.copytree(folder / LANGUAGE, target / "text_encoder")
    for path in (folder / LANGUAGE).glob("tokenizer*"):
        shutil.copy(path, target / "processor")
    return target


# Sizes


@pytest.mark.parametrize(
    ("size", "working"),
    [((512, 512), (512, 512)), ((640, 384), (656, 384)), ((3000, 4000), (432, 592))],
)
def test_working_size_is_that_of_the_original(
    folder: Path, size: tuple[int, int], working: tuple[int, int]
) -> None:
    editor = load_editor("step1x-edit", source=folder, device="cpu")
    assert editor.working_size(*size) == working
    assert editor.working_size(*size, 1024)[0] >= 2 * working[0] - 16


def test_pass_at_the_ordinary_size_of_a_photo_that_is_no_square(folder: Path) -> None:
    """640 text tokens, and of target and context as many as 656 x 384 pixels make."""
    editor = load_editor("step1x-edit", source=folder, device="cpu")
    image = photo(300, 176).requires_grad_()
    prompt = editor.encode_prompt("smile", image.detach())
    noise = noise_for(editor, image)
    assert noise.shape == (1, 16, 48, 82)
    layout = find_layouts(editor, image, "smile")[0]
    assert (layout.text, layout.target, layout.context) == (POSITIONS, 984, 984)
    editor.attend(image, prompt, 1.0, noise, (0,)).sum().backward()
    assert (image.grad != 0).float().mean() > 0.99


# The text side


def test_quoted_text_is_spelled_and_the_rest_is_not() -> None:
    assert spell_quoted('write "a b" now') == [
        ('write "', False),
        ("a", True),
        (" ", True),
        ("b", True),
        ('" now', False),
    ]
    assert spell_quoted("“a”") == [('"', False), ("a", True), ('"', False)]
    assert spell_quoted("the child's") == [('the child"', False), ("s", True)]
    assert spell_quoted("plain") == [("plain", False)]


@pytest.mark.parametrize("size", [(64, 112), (504, 504), (701, 333), (1200, 1200)])
def test_patches_are_those_of_the_image_processor(size: tuple[int, int]) -> None:
    """Of transformers' own, after the original's reading of the picture by Pillow."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
        Qwen2VLImageProcessorPil,
        smart_resize,
    )

    levels = (photo(*size)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    high, wide = smart_resize(size[1], size[0], 28, 4 * 28**2, 16384 * 28**2)
    picture = Image.fromarray(levels).resize((wide, high), Image.Resampling.BICUBIC)
    processor = Qwen2VLImageProcessorPil(min_pixels=GRID.fewest, max_pixels=GRID.most)
    expected = processor(images=[picture], return_tensors="pt")
    pixels = torch.from_numpy(np.array(levels)).permute(2, 0, 1)[None].float() / 255
    patches, rows_columns = to_patches(pixels)
    assert [1, *rows_columns] == expected["image_grid_thw"][0].tolist()
    assert rows_columns[::-1] == tuple(side // 14 for side in fit(*size))
    # Pillow rounds to levels after each pass; a level is 0.015 in these units.
    torch.testing.assert_close(patches, expected["pixel_values"], atol=0.03, rtol=0)


def test_strip_that_the_language_model_cannot_see_is_refused() -> None:
    with pytest.raises(InputError, match="at most 200 times"):
        fit(2010, 10)


def test_states_are_those_of_the_language_model_run_the_ordinary_way(
    editor: Step1XEditor, folder: Path
) -> None:
    """All states of the whole model, the last of them without the dropped ones."""
    import transformers

    image = (photo(140, 112) * 255).round() / 255
    tokenizer = transformers.Qwen2Tokenizer.from_pretrained(folder / LANGUAGE)
    model = transformers.Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / LANGUAGE)
    text = editor.parts.text
    patches, rows_columns = to_patches(image)
    tokens = rows_columns[0] * rows_columns[1] // 4
    ids = torch.tensor([text.tokenise("smile", tokens)])
    kinds = (ids == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
    with torch.no_grad():
        states = model(
            input_ids=ids,
            pixel_values=patches,
            image_grid_thw=torch.tensor([[1, *rows_columns]]),
            mm_token_type_ids=kinds,
            output_hidden_states=True,
        ).hidden_states[-1][0, 217:]
        reading = text.read("smile", patches, rows_columns)
    assert torch.equal(reading.states, states)
    assert (kinds[0, 217:].nonzero()[:, 0].tolist()) == list(reading.photo)


def test_text_depends_on_the_photo_and_is_read_once(editor: Step1XEditor, monkeypatch) -> None:
    image = photo(seed=4)
    first = editor.encode_prompt("smile", image)
    monkeypatch.setattr(editor.parts.text, "read", lambda *_: pytest.fail("read twice"))
    again = editor.encode_prompt("smile", image.clone())
    monkeypatch.undo()
    assert torch.equal(first.tensors["states"], again.tensors["states"])
    other = editor.encode_prompt("smile", photo(seed=5))
    assert not torch.equal(first.tensors["states"], other.tensors["states"])


def test_photo_changed_in_place_is_read_again(editor: Step1XEditor) -> None:
    image = photo(seed=6)
    first = editor.encode_prompt("smile", image).tensors["states"]
    image.zero_()
    assert not torch.equal(first, editor.encode_prompt("smile", image).tensors["states"])


def test_instruction_needs_a_photo_and_words(editor: Step1XEditor) -> None:
    with pytest.raises(InputError, match="together with the photo"):
        editor.encode_prompt("smile")
    for call in (lambda: editor.encode_prompt(" ", photo()), lambda: editor.edit(photo(), "")):
        with pytest.raises(InputError, match="instruction is empty"):
            call()


def test_models_take_turns_in_memory_unless_both_fit(folder: Path) -> None:
    """What is prepared is read first; then the transformer takes the language model's place."""
    editor = small(load_editor("step1x-edit", source=folder, device="cpu"))
    assert editor.parts.together
    editor.parts.together = False
    image, texts = photo(), ["smile", "red hat"]
    editor.prepare(texts, (0,))
    assert editor.parts.loaded_text is None and editor.parts.loaded_body is None
    editor.prepare(texts, (0,), images=[image])
    assert editor.parts.loaded_text is None and editor.parts.loaded_body is not None
    noise = noise_for(editor, image)
    for text in texts:
        editor.attend(image, editor.encode_prompt(text, image), 1.0, noise, (0,))
    assert editor.parts.loaded_text is None
    editor.encode_prompt("another", image)
    assert editor.parts.loaded_text is not None and editor.parts.loaded_body is None


def test_blocks_after_the_last_wanted_one_are_not_read(folder: Path) -> None:
    editor = small(load_editor("step1x-edit", source=folder, device="cpu"))
    editor.prepare(["smile"], (0,), images=[photo()])
    model = editor.parts.body.engine.transformer.model
    first, second = model.transformer_blocks
    assert not any(w.is_meta for w in first.parameters())
    assert all(w.is_meta for w in second.parameters())


@pytest.mark.parametrize(
    ("options", "largest"), [({"dtype": "int8"}, 0.05), ({"stream_weights": True}, 1e-6)]
)
def test_memory_plans_of_flux_apply(
    folder: Path, editor: Step1XEditor, options: dict[str, Any], largest: float
) -> None:
    other = small(load_editor("step1x-edit", source=folder, device="cpu", **options))
    image, gradients = photo(), []
    noise = noise_for(editor, image)
    for one in (editor, other):
        tracked = image.clone().requires_grad_()
        prompt = editor.encode_prompt("smile", image)
        one.attend(tracked, prompt, 0.99, noise, ALL).mean().backward()
        gradients.append(tracked.grad)
    assert (gradients[1] - gradients[0]).norm() / gradients[0].norm() < largest
    best = other.for_measuring()
    assert (best is other) == ("stream_weights" in options)
    first, second = (one.attend(image, prompt, 0.99, noise, ALL) for one in (editor, best))
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


# Gradients and measurements


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(112, 64), (61, 97)])
def test_gradient_reaches_every_pixel(folder: Path, name: str, size: tuple[int, int]) -> None:
    editor = small(load_editor(name, source=folder, device="cpu"))
    image = photo(*size).requires_grad_()
    prompt = editor.encode_prompt("smile", image.detach())
    proportions = editor.attend(image, prompt, 0.99, noise_for(editor, image), ALL)
    assert proportions.shape == (len(ALL),) and proportions.dtype == torch.float32
    assert ((proportions > 0) & (proportions < 1)).all()
    proportions.mean().backward()
    assert torch.isfinite(image.grad).all()
    assert (image.grad != 0).float().mean() > 0.99


def test_versions_differ_by_more_than_their_weights(folder: Path) -> None:
    """The same weights at v1.0's positions give other numbers."""
    editor = small(load_editor("step1x-edit", source=folder, device="cpu"))
    image = photo()
    prompt, noise = editor.encode_prompt("smile", image), noise_for(editor, image)
    other = small(load_editor("step1x-edit", source=folder, device="cpu"))
    other.parts.body.engine._shift = V1_0.shift
    first, second = (one.attend(image, prompt, 0.99, noise, ALL) for one in (editor, other))
    assert not torch.equal(first, second)


def test_prompt_sigma_and_photo_all_matter(editor: Step1XEditor) -> None:
    image = photo()
    prompt, noise = editor.encode_prompt("smile", image), noise_for(editor, image)
    first = editor.attend(image, prompt, 0.99, noise, ALL)
    for changed in (
        editor.attend(image, editor.encode_prompt("red hat", image), 0.99, noise, ALL),
        editor.attend(image, prompt, 0.5, noise, ALL),
        editor.attend(photo(seed=9), prompt, 0.99, noise, ALL),
        editor.attend(image, editor.encode_prompt("smile", photo(seed=9)), 0.99, noise, ALL),
    ):
        assert not torch.equal(first, changed)


def test_checkpointing_changes_no_number(folder: Path) -> None:
    results = []
    for checkpointing in (False, True):
        editor = small(load_editor("step1x-edit", source=folder, device="cpu"))
        engine = editor.parts.body.engine
        engine.settle()
        engine.transformer.checkpointing = checkpointing
        if checkpointing:
            prepare_transformer(engine.transformer.model, True)
        image = photo().requires_grad_()
        prompt, noise = editor.encode_prompt("smile", image.detach()), noise_for(editor, image)
        proportions = editor.attend(image, prompt, 0.99, noise, (1, 3))
        proportions.sum().backward()
        results.append((proportions.detach(), image.grad))
    for plain, checkpointed in zip(*results, strict=True):
        assert torch.equal(plain, checkpointed)


def test_weights_are_frozen(editor: Step1XEditor) -> None:
    body = editor.parts.body
    engine = body.engine
    for part in (engine.transformer.model, body.connector, engine.vae, editor.parts.text.model):
        assert not part.training
        assert not any(weight.requires_grad for weight in part.parameters())


def test_photo_tokens_of_the_text_can_count_as_context(editor: Step1XEditor) -> None:
    from dataclasses import replace

    image = photo()
    prompt, noise = editor.encode_prompt("smile", image), noise_for(editor, image)
    width, height = fit(*editor.working_size(*image.shape[:1:-1]))
    assert len(prompt.photo) == width * height // GRID.token**2 > 0
    plain = editor.attend(image, prompt, 0.99, noise, ALL)
    counted = editor.attend(image, replace(prompt, photo_counts=True), 0.99, noise, ALL)
    assert (counted > plain).all() and (counted < 1).all()


def test_gradient_also_runs_through_the_language_model(editor: Step1XEditor) -> None:
    """Against differences: the derivative along a direction, through the text tokens alone."""
    image, direction = photo().double().float(), photo(seed=3) - 0.5
    still = photo(seed=8)
    noise = noise_for(editor, still)

    def value(picture: torch.Tensor) -> torch.Tensor:
        prompt = editor.encode_prompt("smile", picture)
        return editor.attend(still, prompt, 0.99, noise, (0,)).sum()

    tracked = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(tracked), tracked)
    step = 0.02
    with torch.no_grad():
        ahead, behind = (value(image + sign * step * direction) for sign in (1, -1))
    slope = float((gradient * direction).sum())
    assert slope != 0
    assert float(ahead - behind) / (2 * step) == pytest.approx(slope, rel=0.2)


@pytest.mark.parametrize("samples", [1, 2])
def test_objective_counts_the_photos_text_tokens(editor: Step1XEditor, samples: int) -> None:
    """Its gradient has a part that the ordinary objective's does not have."""
    image, gradients = photo(), []
    for count in (False, True):
        objective = context_proportion(
            editor, image, Passes(blocks=ALL, samples=samples, count_vlm_tokens=count)
        )
        tracked = image.clone().requires_grad_()
        value = objective(tracked, torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad(value, tracked)
        gradients.append(gradient)
    assert not torch.allclose(*gradients) and all(torch.isfinite(g).all() for g in gradients)


def test_gradient_through_the_language_model_needs_both_models_in_memory(folder: Path) -> None:
    editor = small(load_editor("step1x-edit", source=folder, device="cpu"))
    editor.parts.together = False
    with pytest.raises(EditorError, match="no room for it beside the transformer"):
        editor.encode_prompt("smile", photo().requires_grad_())


def test_predicted_velocity_is_what_an_unguided_edit_steps_along(editor: Step1XEditor) -> None:
    """With guidance 1 and no rescaling, one step is the noise minus the velocity."""
    image = (photo(112, 64) * 255).round() / 255
    prompt, noise = editor.encode_prompt("smile", image), noise_for(editor, image)
    velocity = editor.predict(image, prompt, 0.5, noise)
    assert velocity.shape == noise.shape
    empty = editor.parts.read("", editor.parts.look(image, editor._bring))
    with torch.no_grad():
        stepped = editor._denoise(noise, editor.encode_image(image), [prompt, empty], [0.5, 0], 1.0)
    torch.testing.assert_close(stepped, noise - 0.5 * velocity, atol=1e-4, rtol=1e-4)


def test_guidance_is_tamed_at_high_noise_only() -> None:
    """Two tokens of two by two latents; the first one's difference is 32 long, the other 0.5."""
    conditional = torch.zeros(1, 1, 2, 4)
    conditional[..., 0, 0], conditional[..., 1, 3] = 32.0, 0.5
    unconditional = torch.zeros_like(conditional)
    low = guide(conditional, unconditional, sigma=0.93, guidance=6.0)
    high = guide(conditional, unconditional, sigma=0.94, guidance=6.0)
    assert torch.equal(low, 6 * conditional)
    assert float(high[..., 0, 0]) == pytest.approx(6 * 32 / 32**0.4)
    assert float(high[..., 1, 3]) == pytest.approx(3.0)


# Editing


@pytest.mark.parametrize("name", NAMES)
def test_edit_has_the_working_size_and_depends_on_everything(folder: Path, name: str) -> None:
    editor = small(load_editor(name, source=folder, device="cpu"))
    check_edit(editor)


def test_edit_can_be_cut_off_from_the_photos_tokens(editor: Step1XEditor) -> None:
    image = photo(200, 130)
    cut = edit_without_context(editor, image, "smile", steps=1)
    assert not torch.equal(cut, editor.edit(image, "smile", steps=1))


def test_info_counts_the_blocks_of_the_weights(editor: Step1XEditor, folder: Path) -> None:
    assert (editor.info.double_blocks, editor.info.single_blocks) == (2, 3)
    assert editor.info.weights == str(folder) and editor.info.text_sees_photo


def test_bfloat16_agrees_with_float32(folder: Path, editor: Step1XEditor) -> None:
    rough = small(load_editor("step1x-edit", source=folder, device="cpu", dtype="bfloat16"))
    image = photo()
    noise = noise_for(editor, image)
    proportions = [
        one.attend(image, one.encode_prompt("smile", image), 0.984375, noise, ALL)
        for one in (editor, rough)
    ]
    torch.testing.assert_close(*proportions, atol=2e-2, rtol=0)


def test_loading_and_editing_are_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small(load_editor("step1x-edit", source=folder, device="cpu")).edit(photo(), "smile", steps=1)
    output = capfd.readouterr()
    assert output.out == "" and output.err == ""
