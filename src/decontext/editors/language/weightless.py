"""Editors whose language model sees the photo, without their weights: see `weights.weightless`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from decontext.editors._base import EditorInfo, Prompt
from decontext.editors.joint.editor import JointEditor
from decontext.editors.joint.loading import Recipe
from decontext.editors.language.loading import SeeingKind
from decontext.editors.language.patches import Grid
from decontext.editors.language.processor import Processor
from decontext.editors.weights.transformer import build_transformer
from decontext.editors.weights.weightless import STORED, Held, empty_transformer, fill_part

STATES = 3584
"""Width of Qwen2.5-VL-7B."""

GRID = Grid()


class NoReading:
    """In the place of a language model: readings about as long as its own, and nothing in them.

    Off the meta device they are random numbers. See `joint.editor.TextSide`.
    """

    sees = True

    def __init__(self, held: Held, length: int) -> None:
        self.length, self._device = length, held.device

    def read(self, text: str, pictures: Sequence[Tensor], place: int) -> Prompt:
        del pictures, place
        shape = (1, self.length, STATES)
        if self._device.type == "meta":
            return Prompt(text, {"embeddings": torch.empty(shape, dtype=STORED, device="meta")})
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        return Prompt(text, {"embeddings": torch.randn(shape, generator=generator).to(STORED)})

    def prepare(self, texts: Sequence[str], pictures: Sequence[Tensor], place: int) -> None:
        del texts, pictures, place


def weightless_seeing(
    info: EditorInfo,
    recipe: Recipe,
    kind: SeeingKind,
    config: Mapping[str, Any],
    held: Held,
    vae: Mapping[str, Any],
) -> JointEditor:
    """The published editor without its weights; `vae` is its autoencoder's configuration."""
    import diffusers

    (_, name), (_, autoencoder) = recipe.classes["transformer"], recipe.classes["vae"]
    build = recipe.empty or partial(build_transformer, name)
    transformer = empty_transformer(info.name, build, config, held)
    kind_of_vae: Any = getattr(diffusers, autoencoder)
    parts = {
        "vae": fill_part(lambda: kind_of_vae(**vae), held),
        "transformer": transformer.model,
    }
    pipeline = recipe.build(parts | {name: Processor(None, GRID) for name in recipe.small})
    text = NoReading(held, kind.text_tokens(GRID))
    return JointEditor(kind, pipeline, info, text=text, transformer=transformer)
