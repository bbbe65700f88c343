"""FLUX.1 Kontext against diffusers' own call at the same latents; the photo is no square."""

from __future__ import annotations

from typing import Any

import torch
from diffusers_oracle import Calls, Exact, explicit_proportion, finite_difference, same_inputs
from tiny_models import TEXT_TOKENS, build_tiny_pipeline
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.flux_kontext import DEFAULT_GUIDANCE, FluxKontextEditor

TEXT = "make her smile"
WIDTH, HEIGHT = 96, 64
BLOCKS = range(5)


def photo(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Tensor:
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return noise.mul(255).round().div(255)


def build() -> tuple[Any, FluxKontextEditor]:
    pipeline = build_tiny_pipeline(sample_size=80)
    return pipeline, FluxKontextEditor(pipeline)


def noise_of(editor: FluxKontextEditor) -> Tensor:
    return editor.draw_noise((WIDTH, HEIGHT), torch.Generator().manual_seed(1))


def test_prediction_is_that_of_the_ordinary_pipeline() -> None:
    pipeline, editor = build()
    image, noise = photo(), noise_of(editor)
    assert editor.working_size(WIDTH, HEIGHT) == (WIDTH, HEIGHT)
    with Calls().watching(pipeline.transformer) as calls:
        pipeline(
            image=family.to_pillow(image),
            prompt=TEXT,
            latents=family.pack(noise),
            height=HEIGHT,
            width=WIDTH,
            max_area=HEIGHT * WIDTH,
            _auto_resize=False,
            guidance_scale=DEFAULT_GUIDANCE,
            num_inference_steps=1,
            max_sequence_length=TEXT_TOKENS,
            output_type="latent",
        )
    ((theirs, output),) = calls
    with Calls().watching(pipeline.transformer) as own, torch.no_grad():
        velocity = editor.predict(image, editor.encode_prompt(TEXT), 1.0, noise)
    same_inputs(own[0][0], theirs)
    tokens = family.pack(velocity)
    torch.testing.assert_close(tokens, output[:, : tokens.shape[1]], atol=1e-5, rtol=0)


def test_proportion_is_that_of_an_explicit_softmax() -> None:
    _, editor = build()
    image, noise, prompt = photo(), noise_of(editor), editor.encode_prompt(TEXT)
    with torch.no_grad():
        measured = editor.attend(image, prompt, 0.99, noise, BLOCKS)
    target = WIDTH * HEIGHT // 256
    ends = [TEXT_TOKENS, TEXT_TOKENS + target, TEXT_TOKENS + 2 * target]
    expected = explicit_proportion(
        lambda: editor.predict(image, prompt, 0.99, noise),
        slice(*ends[:2]),
        slice(*ends[1:]),
        ends[2],
    )
    assert len(expected) == len(BLOCKS)
    torch.testing.assert_close(measured, torch.stack(expected), atol=1e-6, rtol=1e-5)


def test_gradient_is_that_of_finite_differences() -> None:
    pipeline = build_tiny_pipeline(sample_size=80).to(torch.float64)
    editor = FluxKontextEditor(pipeline)
    image, noise = photo(100, 70).double(), noise_of(editor).double()
    prompt = editor.encode_prompt(TEXT)
    with Exact():
        context = editor.encode_image(image * 0.2 + 0.4).requires_grad_()

        def function(latents: Tensor) -> Tensor:
            return editor.attend_latents(latents, prompt, 0.98, noise, (0, 1, 3)).mean()

        (gradient,) = torch.autograd.grad(function(context), context)
        for seed in range(2):
            generator = torch.Generator().manual_seed(seed)
            direction = torch.randn(context.shape, generator=generator).double()
            slope = finite_difference(function, context.detach(), direction)
            torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-12)
