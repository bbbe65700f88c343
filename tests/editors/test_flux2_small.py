"""A small klein: diffusers' own pipeline on the reduced photo, with few text tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers_oracle import Calls, same_inputs
from PIL import Image
from tiny_flux2 import build_tiny_flux2
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.flux2.small import load_small
from decontext.editors.flux2_klein import INFO

TEXT = "make her smile"
TOKENS = 12
SIDE = 96
"""Tokens of the tiny autoencoder have 16 pixels a side."""


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return build_tiny_flux2("klein")


@pytest.fixture(scope="module")
def editor(pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("small")
    pipeline.save_pretrained(folder)
    options: dict[str, Any] = {"side": SIDE, "steps": 3, "text_tokens": TOKENS, "device": "cpu"}
    return load_small(INFO, folder, **options)


def photo(width: int, height: int) -> Tensor:
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    return noise.mul(255).round().div(255)


@pytest.mark.parametrize(
    ("size", "working"),
    [
        ((96, 96), (96, 96)),
        ((2000, 1500), (112, 80)),
        ((30, 40), (80, 112)),
        ((10, 400), (64, 144)),
    ],
)
def test_every_photo_is_seen_whole_at_about_the_same_area(
    editor: Any, size: tuple[int, int], working: tuple[int, int]
) -> None:
    assert editor.working_size(*size) == working
    assert editor.edit(photo(*size), TEXT, steps=1).shape == (1, 3, working[1], working[0])


def test_prediction_is_that_of_the_ordinary_pipeline_on_the_reduced_photo(
    pipeline: Any, editor: Any
) -> None:
    image = photo(150, 90)
    size = editor.working_size(150, 90)
    noise = editor.draw_noise(size, torch.Generator().manual_seed(1))
    small = family.to_pillow(image).resize(size, Image.Resampling.LANCZOS)
    with Calls().watching(pipeline.transformer) as theirs:
        pipeline(
            image=[small],
            prompt=TEXT,
            latents=noise,
            height=size[1],
            width=size[0],
            num_inference_steps=1,
            guidance_scale=1.0,
            max_sequence_length=TOKENS,
            output_type="latent",
        )
    prompt = editor.encode_prompt(TEXT)
    assert prompt.tensors["embeddings"].shape[1] == TOKENS
    transformer = editor._transformer.model
    with torch.no_grad():
        editor.predict(image, prompt, 1.0, noise)  # loads the weights
        with Calls().watching(transformer) as own:
            velocity = editor.predict(family.from_pillow(small), prompt, 1.0, noise)
    same_inputs(own[0][0], theirs[0][0])
    expected = theirs[0][1][:, : velocity.shape[-1] * velocity.shape[-2]].transpose(1, 2)
    torch.testing.assert_close(velocity.flatten(2), expected, atol=1e-5, rtol=0)
    # Pillow rounds to levels between and after its two passes.
    seen = (editor._engine.wiring.bring(image, size) * 255).round()
    assert float((seen - family.from_pillow(small) * 255).abs().max()) < 1.01


def test_an_edit_is_of_the_steps_that_it_was_made_for(editor: Any) -> None:
    counts: list[tuple[int, int]] = []
    editor.edit(photo(90, 90), TEXT, on_step=lambda done, total: counts.append((done, total)))
    assert counts == [(1, 3), (2, 3), (3, 3)]
