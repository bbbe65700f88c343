"""Editors whose language model sees the photo, against diffusers' own pipelines.

Small random weights in the published layout. Sizes are those at which nothing is resized, so that
the language model's states can be held against the ordinary pipeline's to the last digit; that
pictures are brought to size as it does is tested apart.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers_oracle import Calls, Exact, explicit_proportion, finite_difference, same_inputs
from safetensors.torch import load_file, save_file
from small_sides import shrink_editor, shrink_pipelines
from tiny_longcat import build_tiny_longcat, save_tiny_longcat
from tiny_qwen import build_tiny_causal, build_tiny_qwen, save_tiny_causal, save_tiny_qwen
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from decontext.editors import (
    load_editor,
    longcat_image_edit,
    qwen_image_2_1,
    qwen_image_edit,
    qwen_image_edit_2509,
)
from decontext.editors.flux import family
from decontext.editors.joint.editor import JointEditor
from decontext.editors.joint.loading import Recipe
from decontext.editors.language.loading import from_pipeline
from decontext.editors.longcat.kind import RECIPE as LONGCAT
from decontext.editors.qwen.causal_kind import RECIPE as CAUSAL
from decontext.editors.qwen.kind import EDIT, PLUS
from decontext.editors.weights import text
from decontext.errors import EditorError, InputError
from decontext.objectives.context_proportion import _attend_all, context_proportion
from decontext.objectives.draws import Passes

TEXT = 'make her smile and say "no"'
SIDE = 128
WIDE, HIGH = 256, 64


@dataclass(frozen=True)
class Case:
    """An editor, a small pipeline of its kind, and how the two are compared.

    Attributes:
        build, save: the pipeline as an object, and as a folder.
        editor: module of the editor.
        name: of the editor.
        several: whether it takes several pictures.
        options: of the pipeline's call, as everyone calls it.
        calls: of the transformer for one step.
        tokens: of latents, as the pipeline is given them.
        target_last: whether the target comes after the pictures, and those lie in the text.
    """

    name: str
    build: Callable[[], Any]
    save: Callable[[Path], Path]
    editor: Any
    recipe: Recipe
    several: bool
    options: dict[str, Any]
    calls: int
    tokens: Callable[[Tensor], Tensor]
    target_last: bool = False


def pack_frame(latents: Tensor) -> Tensor:
    return family.pack(latents[:, :, 0])


QWEN = {"negative_prompt": " ", "true_cfg_scale": 4.0}
CASES = [
    Case(
        "qwen-image-edit",
        partial(build_tiny_qwen, several=False),
        partial(save_tiny_qwen, several=False),
        qwen_image_edit,
        EDIT,
        False,
        QWEN,
        2,
        pack_frame,
    ),
    Case(
        "qwen-image-edit-2509",
        build_tiny_qwen,
        save_tiny_qwen,
        qwen_image_edit_2509,
        PLUS,
        True,
        QWEN,
        2,
        pack_frame,
    ),
    Case(
        "qwen-image-edit-2511",
        partial(build_tiny_qwen, zero_cond_t=True),
        partial(save_tiny_qwen, zero_cond_t=True),
        qwen_image_edit_2509,
        PLUS,
        True,
        QWEN,
        2,
        pack_frame,
    ),
    Case(
        "qwen-image-2.1",
        build_tiny_causal,
        save_tiny_causal,
        qwen_image_2_1,
        CAUSAL,
        True,
        {},
        1,
        lambda latents: latents.flatten(2).transpose(1, 2),
        target_last=True,
    ),
    Case(
        "longcat-image-edit",
        build_tiny_longcat,
        save_tiny_longcat,
        longcat_image_edit,
        LONGCAT,
        False,
        {},
        2,
        family.pack,
    ),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SEVERAL = [case for case in CASES if case.several]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_pipelines(monkeypatch, SIDE)


def photo(width: int, height: int, seed: int = 0) -> Tensor:
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return noise.mul(255).round().div(255)


def build(case: Case) -> tuple[Any, JointEditor]:
    pipeline = case.build()
    return pipeline, wrap(case, pipeline)


def wrap(case: Case, pipeline: Any) -> JointEditor:
    kind = case.editor.kind()
    return shrink_editor(from_pipeline(pipeline, case.editor.INFO, case.recipe, kind), SIDE)


def in_float64(pipeline: Any) -> Any:
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            torch.nn.Module.to(part, torch.float64)  # diffusers' own makes remarks
    return pipeline


def noise_of(editor: JointEditor, seed: int = 1) -> Tensor:
    return editor.draw_noise((WIDE, HIGH), torch.Generator().manual_seed(seed))


def edit_once(case: Case, pipeline: Any, pictures: list[Tensor], noise: Tensor) -> Calls:
    shown = [family.to_pillow(picture) for picture in pictures]
    with Calls().watching(pipeline.transformer) as calls:
        pipeline(
            image=shown if case.several else shown[0],
            prompt=TEXT,
            latents=case.tokens(noise),
            num_inference_steps=1,
            output_type="latent",
            **case.options,
            **({"width": WIDE, "height": HIGH} if case.several else {}),
        )
    return calls


def check_prediction(case: Case, beside: list[Tensor], place: int) -> None:
    pipeline, editor = build(case)
    image = photo(WIDE, HIGH)
    assert editor.working_size(WIDE, HIGH) == (WIDE, HIGH)
    editor = editor.among(beside, place)
    noise = noise_of(editor)
    calls = edit_once(case, pipeline, [*beside[:place], image, *beside[place:]], noise)
    theirs, output = calls[0]  # the second is the one that the edit is guided away from
    assert len(calls) == case.calls
    with Calls().watching(pipeline.transformer) as own, torch.no_grad():
        velocity = editor.predict(image, editor.encode_prompt(TEXT, image), 1.0, noise)
    same_inputs(own[0][0], theirs)
    tokens = case.tokens(velocity)
    count = tokens.shape[1]
    expected = output[:, -count:] if case.target_last else output[:, :count]
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=0)
    assert float(expected.std()) > 0.05


@every_case
def test_prediction_is_that_of_the_ordinary_pipeline(case: Case) -> None:
    check_prediction(case, [], 0)


@pytest.mark.parametrize("case", SEVERAL, ids=lambda case: case.name)
@pytest.mark.parametrize(("others", "place"), [(1, 0), (1, 1), (2, 1)])
def test_photo_may_be_in_any_place_among_others(case: Case, others: int, place: int) -> None:
    check_prediction(case, [photo(64, 256, seed=2), photo(128, 128, seed=3)][:others], place)


@pytest.mark.parametrize("case", [c for c in CASES if not c.several], ids=lambda case: case.name)
def test_editors_of_one_picture_refuse_others(case: Case) -> None:
    _, editor = build(case)
    with pytest.raises(InputError, match="is given 2 pictures; it takes 1 at most"):
        editor.among([photo(64, 64)])


def spans(case: Case, tensors: Any, target: int) -> tuple[slice, slice, int]:
    """Queries of the target and keys of the photo in a pass, and how many keys there are.

    Another picture of 128 x 128 pixels comes after the photo, where there are several.
    """
    count = tensors["embeddings"].shape[1]
    if case.target_last:
        places = tensors["places"][0]
        start = int(places.nonzero()[0])
        length = count + 3 * int(places.sum()) + target
        return slice(0, target), slice(start, start + target), length
    length = count + 2 * target + (64 if case.several else 0)
    return slice(count, count + target), slice(count + target, count + 2 * target), length


@every_case
def test_proportion_is_that_of_an_explicit_softmax(case: Case) -> None:
    _, editor = build(case)
    image, other = photo(WIDE, HIGH), photo(128, 128, seed=2)
    if case.several:
        editor = editor.among([other], 0)
    prompt = editor.encode_prompt(TEXT, image)
    noise = noise_of(editor)
    with torch.no_grad():
        measured = editor.attend(image, prompt, 0.99, noise, range(5))
        counted = editor.attend(image, replace(prompt, photo_counts=True), 0.99, noise, range(5))
    queries, keys, length = spans(case, prompt.tensors, case.tokens(noise).shape[1])
    run = partial(editor.predict, image, prompt, 0.99, noise)
    expected = explicit_proportion(run, queries, keys, length)
    assert len(expected) == 5
    torch.testing.assert_close(measured, torch.stack(expected), atol=1e-6, rtol=1e-5)
    if case.target_last:  # the photo's latents are in the place of its text tokens
        assert prompt.photo == range(0) and torch.equal(counted, measured)
        return
    positions = slice(prompt.photo.start, prompt.photo.stop)
    tokens = explicit_proportion(run, queries, positions, length)
    assert len(prompt.photo) > 0 and all(float(share) > 0 for share in tokens)
    torch.testing.assert_close(
        counted, torch.stack(expected) + torch.stack(tokens), atol=1e-6, rtol=1e-5
    )


@every_case
def test_photo_is_measured_at_another_working_size_than_it_was_read_at(case: Case) -> None:
    _, editor = build(case)
    image = photo(WIDE, HIGH)
    prompt = editor.encode_prompt(TEXT, image)
    width, height = editor.working_size(WIDE, HIGH, SIDE // 2)
    assert width * height < WIDE * HIGH / 2
    context = editor.encode_image(image, (width, height)).detach().requires_grad_()
    noise = editor.draw_noise((width, height), torch.Generator().manual_seed(0))
    measured = editor.attend_latents(context, prompt, 0.99, noise, (0, 4))
    (gradient,) = torch.autograd.grad(measured.sum(), context)
    assert bool((measured > 0).all()) and float(gradient.abs().max()) > 0


@every_case
@pytest.mark.parametrize("counted", [False, True])
def test_gradient_is_that_of_finite_differences(case: Case, counted: bool) -> None:
    pipeline = in_float64(case.build())
    editor = wrap(case, pipeline)
    image = photo(120, 70).double()
    noise = noise_of(editor).double()
    prompt = editor.encode_prompt(TEXT, image)

    def function(pixels: Tensor) -> Tensor:
        words = prompt
        if counted:  # without a gradient it would be seen in 8 bits
            with torch.enable_grad():
                tracked = pixels if pixels.requires_grad else pixels.clone().requires_grad_()
                words = editor.encode_prompt(TEXT, tracked)
        words = replace(words, photo_counts=counted)
        return editor.attend(pixels, words, 0.98, noise, (0, 1, 3)).mean()

    leaf = (image * 0.2 + 0.4).requires_grad_()  # resizing must not leave the colours there are
    with Exact():
        (gradient,) = torch.autograd.grad(function(leaf), leaf)
        for seed in range(2):
            direction = photo(120, 70, seed).double() - 0.5
            slope = finite_difference(function, leaf.detach(), direction)
            torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-12)


@every_case
@pytest.mark.parametrize(("width", "height"), [(150, 100), (64, 181), (300, 40)])
def test_pictures_are_brought_to_size_as_in_the_ordinary_pipeline(
    case: Case, width: int, height: int
) -> None:
    pipeline, editor = build(case)
    image = photo(width, height)
    brought: list[Tensor] = []
    patches: list[Tensor] = []
    original = pipeline._encode_vae_image
    pipeline._encode_vae_image = lambda image, generator: (
        brought.append(image) or original(image, generator)
    )

    def watch(_model: Any, _args: Any, options: dict[str, Any]) -> None:
        patches.append(options["pixel_values"])

    pipeline.text_encoder.register_forward_pre_hook(watch, with_kwargs=True)
    shown = family.to_pillow(image)
    pipeline(
        image=[shown] if case.several else shown,
        prompt=TEXT,
        num_inference_steps=1,
        output_type="latent",
    )
    size = editor.working_size(width, height)
    assert len(brought) == 1
    (theirs,) = (one.reshape(1, -1, one.shape[-2], one.shape[-1]) for one in brought)
    assert size == (theirs.shape[-1], theirs.shape[-2])
    ours = editor._engine.wiring.bring(image, size)
    # Pillow rounds to levels between and after its two passes.
    assert float(((ours * 255).round() - (theirs[:, :3] / 2 + 0.5) * 255).abs().max()) < 1.01
    editor.encode_prompt(TEXT, image)
    assert patches[0].shape == patches[-1].shape and len(patches) > 1
    torch.testing.assert_close(patches[0], patches[-1], atol=1e-5, rtol=0)
    editor.encode_prompt(TEXT, image.requires_grad_())
    difference = (patches[0] - patches[-1].detach()).abs()
    assert float(difference.max()) < 4 / 255 / 0.26 and float(difference.mean()) < 1 / 255 / 0.26


@every_case
def test_edit_is_that_of_the_ordinary_pipeline(case: Case) -> None:
    pipeline, editor = build(case)
    image = photo(WIDE, HIGH)
    done: list[tuple[int, int]] = []
    edited = editor.edit(image, TEXT, seed=3, steps=2, on_step=lambda *step: done.append(step))
    assert edited.shape == (1, 3, HIGH, WIDE) and done == [(1, 2), (2, 2)]
    shown = family.to_pillow(image)
    expected = pipeline(
        image=[shown] if case.several else shown,
        prompt=TEXT,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
        **case.options,
    ).images
    expected = expected[:, :3].float()  # some make opacity, too
    torch.testing.assert_close(edited, expected, atol=1e-5, rtol=0)


@every_case
def test_instruction_is_read_anew_only_where_pictures_or_words_are_new(case: Case) -> None:
    pipeline, editor = build(case)
    image, reads = photo(WIDE, HIGH), []
    pipeline.text_encoder.register_forward_pre_hook(lambda *_: reads.append(1))
    first = editor.encode_prompt(TEXT, image)
    assert editor.encode_prompt(TEXT, image.clone()).tensors is first.tensors
    assert len(reads) == 1
    other = editor.encode_prompt(TEXT, image.flip(-1))
    editor.encode_prompt("sit", image)
    assert len(reads) == 3
    assert not torch.equal(other.tensors["embeddings"], first.tensors["embeddings"])
    leaf = image.clone().requires_grad_()
    tracked = editor.encode_prompt(TEXT, leaf)
    states = first.tensors["embeddings"]
    # Without a gradient the picture is seen in 8 bits after each time that it is resized.
    difference = (tracked.tensors["embeddings"].detach() - states).square().mean().sqrt()
    assert float(difference) < 0.01 * float(states.std())
    (gradient,) = torch.autograd.grad(tracked.tensors["embeddings"].square().sum(), leaf)
    assert float((gradient != 0).float().mean()) > 0.99


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    known: dict[str, Path] = {}

    def folder(case: Case) -> Path:
        if case.name not in known:
            known[case.name] = case.save(tmp_path_factory.mktemp(case.name))
        return known[case.name]

    return folder


def load(case: Case, folder: Path, **options: Any) -> Any:
    editor: Any = load_editor(case.name, source=folder, device="cpu", **options)
    return shrink_editor(editor, SIDE)


def measure(editor: JointEditor, *, blocks: tuple[int, ...] = (0, 3)) -> tuple[Tensor, Tensor]:
    image = photo(WIDE, HIGH).requires_grad_()
    prompt = editor.encode_prompt(TEXT, image.detach())
    value = editor.attend(image, prompt, 0.99, noise_of(editor), blocks)
    return value.detach(), torch.autograd.grad(value.sum(), image)[0]


@every_case
def test_folder_gives_the_numbers_of_the_pipeline_in_memory(case: Case, folders: Any) -> None:
    _, resident = build(case)
    loaded = load(case, folders(case), dtype="float32")
    for mine, other in zip(measure(loaded), measure(resident), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-7, rtol=1e-5)
    assert loaded.info.text_sees_photo


@every_case
@pytest.mark.parametrize("precision", ["float32", "nf4"])
def test_streamed_weights_give_the_same_numbers(case: Case, folders: Any, precision: str) -> None:
    plain, streamed = (
        load(case, folders(case), dtype=precision, stream_weights=stream)
        for stream in (False, True)
    )
    for mine, other in zip(measure(streamed), measure(plain), strict=True):
        assert torch.equal(mine, other)
    best = plain.for_measuring()
    assert (best is plain) == (precision == "float32")
    reference = load(case, folders(case), dtype="float32")
    torch.testing.assert_close(measure(best)[0], measure(reference)[0])


@every_case
def test_estimate_says_what_a_step_takes(case: Case, folders: Any) -> None:
    editor = load(case, folders(case), dtype="float32")
    one, all_blocks = (editor.estimate(blocks, [(WIDE, HIGH)], 1) for blocks in ((0,), range(5)))
    assert 0 < one.memory < all_blocks.memory
    assert 0 < one.step_flop < all_blocks.step_flop
    assert all_blocks.blocks == 5


def test_a_plan_for_less_is_looked_at_again_where_draws_share(folders: Any) -> None:
    case = next(case for case in CASES if case.name == "qwen-image-2.1")
    editor = load(case, folders(case), dtype="float32")
    editor.prepare([TEXT], range(5), sizes=[(WIDE, HIGH)])
    held = editor._transformer
    assert held.plan is not None and not held.checkpointing

    def gradient() -> Tensor:
        image = photo(WIDE, HIGH).requires_grad_()
        objective = context_proportion(
            editor, image, Passes(blocks=range(5), prompts=[TEXT], samples=2)
        )
        (found,) = torch.autograd.grad(objective(image, torch.Generator().manual_seed(0)), image)
        return found

    kept = gradient()
    assert not held.checkpointing
    held.plan = replace(held.plan, free=0)
    twice = gradient()
    assert held.checkpointing and held.plan.checkpointing
    assert editor._pipeline.vae.encoder.gradient_checkpointing
    torch.testing.assert_close(twice, kept)
    assert kept.abs().sum() > 0


def damage(case: Case, folder: Path, target: Path, part: str, change: dict[str, Any]) -> Path:
    copied = Path(shutil.copytree(folder, target))
    path = copied / part / ("config.json" if part else "model_index.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return copied


@every_case
def test_missing_parts_are_named(case: Case, folders: Any, tmp_path: Path) -> None:
    processor = next(name for name in case.recipe.classes if "processor" in name)
    for part in ("vae", "transformer", "text_encoder", processor):
        copied = Path(shutil.copytree(folders(case), tmp_path / part))
        for file in (copied / part).glob("*.safetensors"):
            file.unlink()
        for file in (copied / part).glob("*processor_config.json"):
            file.unlink()
        with pytest.raises(EditorError, match=part):
            load(case, copied).encode_prompt(TEXT, photo(WIDE, HIGH))


@every_case
def test_damaged_and_absurd_weights_give_sentences(
    case: Case, folders: Any, tmp_path: Path
) -> None:
    folder = folders(case)
    absurd = damage(case, folder, tmp_path / "a", "transformer", {"num_layers": 10**8})
    with pytest.raises(EditorError, match="num_layers is 100000000"):
        load(case, absurd)
    other = damage(case, folder, tmp_path / "b", "", {"_class_name": "FluxKontextPipeline"})
    with pytest.raises(EditorError, match="holds a FluxKontextPipeline; it must hold a"):
        load(case, other)
    larger = damage(case, folder, tmp_path / "c", "transformer", {"in_channels": 128})
    with pytest.raises(EditorError, match="the configuration says"):
        measure(load(case, larger))
    uneven = damage(case, folder, tmp_path / "d", "transformer", {"axes_dims_rope": [4, 6, 4]})
    with pytest.raises(EditorError, match="axes_dims_rope"):
        load(case, uneven)
    (file,) = (folder / "transformer").glob("*.safetensors")
    cut = Path(shutil.copytree(folder, tmp_path / "e"))
    (cut / "transformer" / file.name).write_bytes(file.read_bytes()[:-100])
    with pytest.raises(EditorError, match="transformer"):
        measure(load(case, cut))


@every_case
@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_a_tensor_too_many_is_named(case: Case, folders: Any, tmp_path: Path, part: str) -> None:
    copied = Path(shutil.copytree(folders(case), tmp_path / "copy"))
    (file,) = (copied / part).glob("*.safetensors")
    save_file(load_file(file) | {"surplus.weight": torch.zeros(2)}, file)
    with pytest.raises(EditorError, match="must not hold, the tensor surplus.weight"):
        load(case, copied)


def test_large_language_model_is_loaded_for_what_is_new_and_forgotten(
    folders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = (case for case in CASES if case.name == "qwen-image-edit-2509")
    monkeypatch.setattr(text, "RESIDENT_BELOW", 0)
    editor, image = load(case, folders(case)), photo(WIDE, HIGH)
    models = editor._text._models
    prompt = editor.encode_prompt(TEXT, image)
    assert models.pipeline is None and prompt.tensors["embeddings"].dtype == torch.bfloat16
    monkeypatch.setattr(models, "_load_pipeline", lambda: pytest.fail("it was loaded again"))
    assert editor.encode_prompt(TEXT, image).tensors is prompt.tensors
    monkeypatch.undo()
    monkeypatch.setattr(text, "TOGETHER_SHARE", 0)
    with pytest.raises(EditorError, match="no room for it beside the transformer"):
        editor.encode_prompt(TEXT, image.requires_grad_())


def attend_all(editor: Any, context: Tensor, draws: list[Any], *, share: bool) -> Any:
    """Value, gradient to the context latents, and the work of both."""
    with pytest.MonkeyPatch.context() as patch, FlopCounterMode(display=False) as counter:
        if not share:
            patch.setattr(JointEditor, "share_photo", lambda *_: None)
        value = _attend_all(editor, context, iter(draws), (0, 2, 3), len(draws))
        (gradient,) = torch.autograd.grad(value, context)
    return value.detach(), gradient, counter.get_total_flops()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("place", [None, 0, 1])
def test_what_draws_share_of_the_photo_changes_no_number_and_saves_work(
    checkpointing: bool, place: int | None
) -> None:
    case = next(case for case in CASES if case.target_last)
    pipeline, kind = case.build(), case.editor.kind()
    editor = from_pipeline(
        pipeline, case.editor.INFO, case.recipe, kind, checkpointing=checkpointing
    )
    editor = shrink_editor(editor, SIDE)
    if place is not None:
        editor = editor.among([photo(128, 128, seed=2)], place)
    image = photo(WIDE, HIGH)
    draws = [
        (editor.encode_prompt(words, image), 0.9 + 0.02 * number, noise_of(editor, number))
        for number, words in enumerate(("make her smile", "put a red hat on her", "sit", "sit"))
    ]
    context = editor.encode_image(image).detach().requires_grad_()
    editor.edit_layouts(image, "sit")  # the other picture is encoded once and for all
    value, gradient, work = attend_all(editor, context, draws, share=True)
    plain, whole, all_of_it = attend_all(editor, context, draws, share=False)
    torch.testing.assert_close(value, plain, atol=1e-6, rtol=1e-6)
    assert float((gradient - whole).norm() / whole.norm()) < 1e-5
    assert work < (0.65 if place is None else 0.55) * all_of_it


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_draws_share_is_the_same_where_weights_are_streamed(
    folders: Any, precision: str
) -> None:
    case = next(case for case in CASES if case.target_last)
    image, found = photo(WIDE, HIGH), []
    for stream in (False, True):
        editor = load(case, folders(case), dtype=precision, stream_weights=stream)
        draws = [
            (editor.encode_prompt(words, image), 0.9, noise_of(editor, number))
            for number, words in enumerate(("sit", "smile"))
        ]
        context = editor.encode_image(image).detach().requires_grad_()
        found.append(attend_all(editor, context, draws, share=True)[:2])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
