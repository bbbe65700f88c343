"""Step1X-Edit v1.2 over small random weights in diffusers' layout, as it is published."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers_oracle import Exact, explicit_proportion, finite_difference
from safetensors.torch import load_file, save_file
from tiny_step1x import (
    FULL,
    TINY,
    VAE_WIDTHS,
    as_diffusers,
    check_edit,
    connector_shapes,
    hold_shapes,
    noise_for,
    photo,
    save_tiny_step1x,
    save_tiny_step1x_v1_2,
    transformer_shapes,
)
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.edit import edit_without_context, find_layouts
from decontext.editors import diagnose_editor, load_editor
from decontext.editors.flux.engine import FluxEngine
from decontext.editors.language.patches import fit
from decontext.editors.step1x.pixels import GRID_V1_2
from decontext.editors.step1x.text_v1_2 import place_text
from decontext.editors.step1x.versions import V1_1
from decontext.editors.step1x.weights import MAPPING, read_layout
from decontext.editors.step1x_edit import Step1XEditor
from decontext.editors.weights.transformer import build_flux
from decontext.errors import EditorError, InputError
from decontext.objectives import Passes, context_proportion

NAME = "step1x-edit-v1.2"
ALL = resolve_blocks("all", TINY["double"], TINY["single"])
WEIGHTS = Path("transformer") / "diffusion_pytorch_model.safetensors"
SIDE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_step1x_v1_2(tmp_path_factory.mktemp("step1x") / "v1.2")


@pytest.fixture(scope="module")
def editor(folder: Path) -> Step1XEditor:
    return load(folder)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def load(folder: Path, **options: Any) -> Step1XEditor:
    """The editor at a size that takes no time."""
    loaded: Any = load_editor(NAME, source=folder, device="cpu", **options)
    loaded._side = SIDE
    return loaded


def change(path: Path, **entries: Any) -> None:
    """Entries of a configuration; None takes one out."""
    content = json.loads(path.read_text()) | entries
    path.write_text(json.dumps({n: v for n, v in content.items() if v is not None}))


# The published folder


def test_full_size_layout_loads_strictly() -> None:
    """All names and shapes, on the meta device: FLUX's, the connector's and two more."""
    shapes = transformer_shapes(**FULL) | connector_shapes(**FULL, scaled=False)
    read = read_layout(hold_shapes(shapes), scaled=False).transformer
    tensors = as_diffusers({name: torch.empty(s, device="meta") for name, s in shapes.items()})
    wide, narrow = FULL["text_width"], FULL["states_width"]
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    held |= {f"{MAPPING}weight": (wide, narrow), f"{MAPPING}bias": (wide,)}
    layout = read_layout(hold_shapes(held), scaled=False, mapped=True, rope=(16, 56, 56), heads=32)
    assert layout.transformer.names() == read.names()
    assert sum(w.numel() for w in build_flux(layout.config).parameters()) == 11_891_178_560
    mapping = layout.load_mapping(torch.device("meta"))
    assert (mapping.in_features, mapping.out_features) == (3584, 4096)
    with pytest.raises(EditorError, match=f"must not hold, the tensor {MAPPING}bias and 1 more"):
        read_layout(hold_shapes(held), scaled=False)


@pytest.mark.parametrize("wrong", [f"{MAPPING}weight", "connector.S.c_embedder.linear_1.weight"])
@pytest.mark.parametrize("damage", ["unknown", "missing", "shape"])
def test_unknown_missing_or_misshapen_tensor_is_named(copy: Path, wrong: str, damage: str) -> None:
    tensors = load_file(copy / WEIGHTS)
    if damage == "unknown":
        wrong = wrong.replace("weight", "extra")
        tensors[wrong] = torch.zeros(3)
    elif damage == "missing":
        del tensors[wrong]
    else:
        tensors[wrong] = torch.zeros(3, 3)
    save_file(tensors, copy / WEIGHTS)
    with pytest.raises(EditorError) as error:
        load(copy).draw_noise((64, 64), torch.Generator())
    told = wrong.removeprefix("connector.")
    assert (told.removeprefix(MAPPING) if damage == "shape" else told) in str(error.value)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder", "processor", "scheduler"])
def test_missing_part_is_named(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    with pytest.raises(EditorError, match=part):
        load(copy).encode_prompt("smile", photo())


def test_hub_id_is_found_in_the_hubs_own_folder(folder: Path, tmp_path: Path) -> None:
    """As its tools keep it; nothing is asked of the hub then."""
    place = tmp_path / "models--stepfun-ai--Step1X-Edit-v1p2"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    shutil.copytree(folder, place / "snapshots" / ("a" * 40))
    editor: Any = load_editor(NAME, device="cpu", cache=tmp_path)
    editor._side = SIDE
    assert editor.edit(photo(), "smile", steps=1).shape[1] == 3
    assert editor.info.weights == "stepfun-ai/Step1X-Edit-v1p2"


def test_other_versions_weights_are_refused(folder: Path, copy: Path, tmp_path: Path) -> None:
    tensors = load_file(copy / WEIGHTS)
    save_file({n: t for n, t in tensors.items() if not n.startswith(MAPPING)}, copy / WEIGHTS)
    with pytest.raises(EditorError, match=f"lacks the tensor {MAPPING}bias"):
        load(copy)
    with pytest.raises(EditorError, match=f"must not hold, the tensor {MAPPING}bias"):
        load_editor("step1x-edit", source=folder, device="cpu")
    first = save_tiny_step1x(tmp_path / "first")
    assert (first / V1_1.file).is_file()
    with pytest.raises(EditorError):
        load(first)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("use_dynamic_shifting", False), ("max_shift", 1.3), ("shift_terminal", 0.02)],
)
def test_other_noise_levels_are_refused(copy: Path, entry: str, value: Any) -> None:
    """An edit would have them, and this program would not know."""
    change(copy / "scheduler" / "scheduler_config.json", **{entry: value})
    with pytest.raises(EditorError, match=f"{entry} of scheduler/scheduler_config.json is {value}"):
        load(copy)


@pytest.mark.parametrize(
    "entries", [{"axes_dims_rope": "16"}, {"axes_dims_rope": [1.5]}, {"connector_heads_num": 0}]
)
def test_configuration_that_makes_no_sense_is_told(copy: Path, entries: dict[str, Any]) -> None:
    change(copy / "transformer" / "config.json", **entries)
    with pytest.raises(EditorError, match=r"transformer/config\.json"):
        load(copy)


def test_tokenizer_without_a_template_is_told(copy: Path) -> None:
    (copy / "processor" / "chat_template.jinja").unlink()
    with pytest.raises(EditorError, match="has no chat template"):
        load(copy).encode_prompt("smile", photo())


def test_outlook_knows_its_size_and_its_files() -> None:
    outlook = diagnose_editor(NAME)
    assert any("1024 x 1024" in plan for plan in outlook.plans)
    assert "stepfun-ai/Step1X-Edit-v1p2" in outlook.missing[0]


# The text side


def test_letters_count_where_the_configuration_says_so(copy: Path, editor: Step1XEditor) -> None:
    """As its authors' program: by default they do not, and plain words never do."""
    change(copy / "transformer" / "config.json", enable_text_token_mapping=None)
    plain, image = load(copy), photo()
    noise = noise_for(editor, image)
    assert plain.parts.body.mapping is None
    for text, same in (("smile", True), ('say "smile"', False)):
        first, second = (
            one.attend(image, one.encode_prompt(text, image), 0.99, noise, ALL)
            for one in (editor, plain)
        )
        assert torch.equal(first, second) == same


def test_words_of_the_tokenizer_are_refused(editor: Step1XEditor) -> None:
    with pytest.raises(InputError, match=r"holds <\|image_pad\|>"):
        editor.encode_prompt("smile <|image_pad|>", photo())


def test_instruction_needs_a_photo_and_words(editor: Step1XEditor) -> None:
    with pytest.raises(InputError, match="together with the photo"):
        editor.encode_prompt("smile")
    for call in (lambda: editor.encode_prompt(" ", photo()), lambda: editor.edit(photo(), "")):
        with pytest.raises(InputError, match="instruction is empty"):
            call()


def test_long_instruction_is_cut_and_loses_the_photo(editor: Step1XEditor) -> None:
    """At 2048 positions; the photo comes after the instruction."""
    prompt = editor.encode_prompt("x" * 2400, photo())
    assert len(prompt.tensors["states"]) == len(prompt.tensors["times"]) == 2048
    assert len(prompt.photo) == 0 and prompt.tensors["times"][-1] == -1
    image = photo()
    proportions = editor.attend(image, prompt, 0.99, noise_for(editor, image), (0,))
    assert 0 < float(proportions) < 1


def test_photos_text_tokens_lie_over_what_they_show() -> None:
    """Corners within a token of the target's; words at the origin."""
    grid, size = (16, 20), (1280, 1024)
    times = torch.arange(-330.0, 0)
    places = place_text(times, range(5, 325), grid, size)
    assert torch.equal(places[:, 0], times)
    assert not places[:5, 1:].any() and not places[325:, 1:].any()
    over = places[5:325, 1:].view(*grid, 2)
    assert (over[0, 0] - torch.tensor([1.2, 1.2])).abs().max() < 0.1
    assert (over[-1, -1] - torch.tensor([61.3, 77.3])).abs().max() < 0.1


def test_texts_of_an_edit_have_their_own_lengths(editor: Step1XEditor) -> None:
    image = photo(300, 176)
    layouts = find_layouts(editor, image, "smile")
    size = editor.working_size(300, 176)
    seen = fit(*size, GRID_V1_2)
    lengths = [
        len(editor.parts.read(text, editor.parts.look(image, editor._bring)).tensors["states"])
        for text in ("smile", "")
    ]
    assert [layout.text for layout in layouts] == lengths and lengths[0] > lengths[1]
    assert lengths[1] > seen[0] * seen[1] // GRID_V1_2.token**2
    assert all(layout.target == size[0] * size[1] // 256 for layout in layouts)


# Sizes, gradients and measurements


@pytest.mark.parametrize(
    ("size", "working"),
    [((512, 512), (1024, 1024)), ((640, 384), (1312, 784)), ((3000, 4000), (880, 1168))],
)
def test_working_size_is_that_of_the_original(
    folder: Path, size: tuple[int, int], working: tuple[int, int]
) -> None:
    editor = load_editor(NAME, source=folder, device="cpu")
    assert editor.working_size(*size) == working


@pytest.mark.parametrize("size", [(112, 64), (61, 97)])
def test_gradient_reaches_every_pixel(editor: Step1XEditor, size: tuple[int, int]) -> None:
    image = photo(*size).requires_grad_()
    prompt = editor.encode_prompt("smile", image.detach())
    proportions = editor.attend(image, prompt, 0.99, noise_for(editor, image), ALL)
    assert proportions.shape == (len(ALL),) and proportions.dtype == torch.float32
    assert ((proportions > 0) & (proportions < 1)).all()
    proportions.mean().backward()
    assert torch.isfinite(image.grad).all()
    assert (image.grad != 0).float().mean() > 0.99


@pytest.mark.parametrize("counted", [False, True])
def test_proportion_is_that_of_an_explicit_softmax(editor: Step1XEditor, counted: bool) -> None:
    image = photo()
    noise = noise_for(editor, image)
    prompt = replace(editor.encode_prompt('say "hi"', image), photo_counts=counted)
    with torch.no_grad():
        measured = editor.attend(image, prompt, 0.97, noise, ALL)
    text, target = len(prompt.tensors["states"]), noise.shape[-2] * noise.shape[-1] // 4
    expected = torch.zeros(len(ALL))
    spans = [slice(text + target, text + 2 * target)]
    for span in [*spans, slice(prompt.photo.start, prompt.photo.stop)][: 2 if counted else 1]:
        expected += torch.stack(
            explicit_proportion(
                lambda: editor.predict(image, prompt, 0.97, noise),
                slice(text, text + target),
                span,
                text + 2 * target,
            )
        )
    torch.testing.assert_close(measured, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("ways", ["latents", "both"])
def test_gradient_is_that_of_finite_differences(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ways: str
) -> None:
    """In float64; `both` are the photo's latents and its way through the language model."""
    editor = load(folder)
    editor._side = 64
    image = photo(80, 56).double() * 0.2 + 0.4
    noise = noise_for(editor, image).double()
    engine = editor.parts.body.engine
    engine.settle()
    engine.transformer.load_everything()
    monkeypatch.setattr(FluxEngine, "dtype", torch.float64)
    for part in (engine.transformer.model, engine.vae, editor.parts.text.model):
        torch.nn.Module.to(part, torch.float64)  # diffusers' own makes remarks
    monkeypatch.setattr(editor, "_bring", lambda pixels: _bring(editor, pixels))
    still = editor.encode_prompt('say "hi"', image)

    def function(pixels: Tensor) -> Tensor:
        prompt = still
        if ways == "both":
            prompt = replace(editor.encode_prompt('say "hi"', pixels), photo_counts=True)
        return editor.attend(pixels, prompt, 0.98, noise, (0, 1, 3)).mean()

    with Exact():
        tracked = image.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(tracked), tracked)
        for seed in range(2):
            direction = photo(80, 56, seed=seed + 3).double() - 0.5
            slope = finite_difference(function, image, direction)
            torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-12)


def _bring(editor: Step1XEditor, pixels: Tensor) -> Tensor:
    from decontext.photo.resampling import resize

    return resize(pixels, editor.working_size(pixels.shape[-1], pixels.shape[-2]))


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


@pytest.mark.parametrize(
    ("options", "largest"), [({"dtype": "int8"}, 0.05), ({"stream_weights": True}, 1e-6)]
)
def test_memory_plans_of_flux_apply(
    folder: Path, editor: Step1XEditor, options: dict[str, Any], largest: float
) -> None:
    other, image, gradients = load(folder, **options), photo(), []
    noise = noise_for(editor, image)
    for one in (editor, other):
        tracked = image.clone().requires_grad_()
        prompt = editor.encode_prompt('say "hi"', image)
        one.attend(tracked, prompt, 0.99, noise, ALL).mean().backward()
        gradients.append(tracked.grad)
    assert (gradients[1] - gradients[0]).norm() / gradients[0].norm() < largest
    best = other.for_measuring()
    assert (best is other) == ("stream_weights" in options)
    prompt = editor.encode_prompt('say "hi"', image)
    first, second = (one.attend(image, prompt, 0.99, noise, ALL) for one in (editor, best))
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_bfloat16_keeps_places_exact_and_agrees_with_float32(
    folder: Path, editor: Step1XEditor
) -> None:
    """Places between target tokens do not survive bfloat16; they stay float32."""
    rough, image = load(folder, dtype="bfloat16"), photo()
    noise = noise_for(editor, image)
    prompt = editor.encode_prompt("smile", image)
    proportions = [one.attend(image, prompt, 0.984375, noise, ALL) for one in (editor, rough)]
    torch.testing.assert_close(*proportions, atol=2e-2, rtol=0)
    places = rough._connect(rough.parts.body, [prompt], 0.5, noise).places
    assert places is not None and places.dtype == torch.float32


def test_weights_are_frozen(editor: Step1XEditor) -> None:
    body = editor.parts.body
    engine = body.engine
    parts = (engine.transformer.model, body.connector, body.mapping, engine.vae)
    for part in (*parts, editor.parts.text.model):
        assert not part.training
        assert not any(weight.requires_grad for weight in part.parameters())


# Editing


def test_edit_has_the_working_size_and_depends_on_everything(editor: Step1XEditor) -> None:
    check_edit(editor)


def test_models_take_turns_when_an_edit_is_cut_off(folder: Path) -> None:
    """Where both do not fit: an edit without the photo reads once, then the transformer runs."""
    editor, image = load(folder), photo(200, 130)
    editor.parts.together = False
    loads: list[str] = []
    for name in ("_load_text", "_load_body"):
        whole = getattr(editor.parts, name)
        setattr(editor.parts, name, lambda n=name, f=whole: loads.append(n) or f())
    edit_without_context(editor, image, "smile", steps=1)
    assert loads == ["_load_text", "_load_body"] and editor.parts.loaded_text is None


def test_edit_can_be_cut_off_from_the_photos_tokens(editor: Step1XEditor) -> None:
    """In both passes, whose texts differ in length."""
    image = photo(200, 130)
    plain = editor.edit(image, "smile", steps=1)
    assert not torch.equal(edit_without_context(editor, image, "smile", steps=1), plain)


def test_loading_and_editing_are_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder).edit(photo(), "smile", steps=1)
    output = capfd.readouterr()
    assert output.out == "" and output.err == ""


def test_tiny_autoencoder_is_that_of_the_other_versions(editor: Step1XEditor) -> None:
    assert tuple(editor.parts.body.engine.vae.config.block_out_channels) == VAE_WIDTHS
