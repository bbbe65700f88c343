"""From what was read to the text tokens of a denoising pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from decontext.editors._base import Prompt
from decontext.editors.flux.engine import Text
from decontext.editors.step1x.parts import Body
from decontext.editors.step1x.text_v1_2 import place_text
from decontext.editors.step1x.versions import Version


def rows_of(version: Version, prompts: Sequence[Prompt]) -> Sequence[Sequence[Prompt]]:
    """Which prompts share a pass: all, unless they are not padded to one length."""
    return [prompts] if version.positions else [[prompt] for prompt in prompts]


def connect(
    body: Body,
    version: Version,
    prompts: Sequence[Prompt],
    sigma: float,
    context: Tensor,
) -> Text:
    """The text tokens of prompts that share a pass, at a noise level.

    Padding is zero, and takes part in the transformer's attention as everything else does. Texts
    that are not padded have places over the photo, whose latents are `context`. The parts compute
    with what the transformer does already.
    """
    dtype, device = body.engine.dtype, body.engine.device
    readings = [prompt.tensors["states"] for prompt in prompts]
    positions = version.positions or len(readings[0])
    shape = (len(readings), positions, readings[0].shape[-1])
    states = torch.zeros(shape, dtype=dtype, device=device)
    mask = torch.zeros(shape[:2], dtype=torch.bool, device=device)
    for row, reading in enumerate(readings):
        states[row, : len(reading)] = reading.to(device, dtype)
        mask[row, : len(reading)] = True
    sigmas = torch.full((len(readings),), sigma, dtype=dtype, device=device)
    tokens, pooled = body.connector(states, sigmas, mask)
    photo = prompts[0].photo if prompts[0].photo_counts else range(0)
    if version.positions:
        return Text(tokens, pooled, photo=photo)
    (prompt,) = prompts
    places = _place(body, prompt, context)
    return Text(_spell(body, prompt, tokens), pooled, photo=photo, places=places.to(device))


def _spell(body: Body, prompt: Prompt, tokens: Tensor) -> Tensor:
    """Quoted letters once more as they are, where a version has a layer for that."""
    letters = prompt.tensors["letters"].to(tokens.device)
    if body.mapping is None or not len(letters):
        return tokens
    seen: Tensor = body.mapping(prompt.tensors["embeddings"].to(tokens.device, tokens.dtype))
    return tokens.index_add(1, letters, seen.unsqueeze(0))


def _place(body: Body, prompt: Prompt, context: Tensor) -> Tensor:
    rows, columns = prompt.tensors["grid"].tolist()
    pixels = body.engine.multiple // 2
    size = (context.shape[-1] * pixels, context.shape[-2] * pixels)
    return place_text(prompt.tensors["times"].cpu(), prompt.photo, (rows, columns), size)
