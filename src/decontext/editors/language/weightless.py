"""Editors whose language model sees the photo, without their weights: see `weights.weightless`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
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


Lay = Callable[[Sequence[Tensor]], Tensor]
"""From pictures to which of an instruction's tokens are theirs, `(1, tokens)`."""


class NoWords:
    """In the place of a tokenizer, for a pipeline that counts words of its own when it is made."""

    def apply_chat_template(self, messages: Sequence[Any], **options: Any) -> list[list[int]]:
        del messages, options
        return [[0]]

    def encode(self, text: str) -> list[int]:
        del text
        return [0]


class NoReading:
    """In the place of a language model: readings about as long as its own, and nothing in them.

    They are `length` tokens of `states` numbers, or what `lay` says of their pictures. Off the meta
    device they are random numbers. See `joint.editor.TextSide`.
    """

    sees = True

    def __init__(
        self, held: Held, length: int, *, states: int = STATES, lay: Lay | None = None
    ) -> None:
        self.length, self._device = length, held.device
        self._states, self._lay = states, lay

    def read(self, text: str, pictures: Sequence[Tensor], place: int) -> Prompt:
        del place
        places = None if self._lay is None else self._lay(pictures)
        shape = (1, self.length if places is None else places.shape[1], self._states)
        if self._device.type == "meta":
            tensors = {"embeddings": torch.empty(shape, dtype=STORED, device="meta")}
        else:
            generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
            tensors = {"embeddings": torch.randn(shape, generator=generator).to(STORED)}
        return Prompt(text, tensors if places is None else tensors | {"places": places})

    def prepare(self, texts: Sequence[str], pictures: Sequence[Tensor], place: int) -> None:
        del texts, pictures, place


def weightless_seeing(
    info: EditorInfo,
    recipe: Recipe,
    kind: SeeingKind,
    config: Mapping[str, Any],
    held: Held,
    vae: Mapping[str, Any],
    *,
    states: int = STATES,
    lay: Lay | None = None,
) -> JointEditor:
    """The published editor without its weights; `vae` is its autoencoder's configuration.

    `states` and `lay` are of its readings, see `NoReading`.
    """
    import diffusers

    (_, name), (_, autoencoder) = recipe.classes["transformer"], recipe.classes["vae"]
    build = recipe.empty or partial(build_transformer, name)
    transformer = empty_transformer(info.name, build, config, held)
    kind_of_vae: Any = getattr(diffusers, autoencoder)
    parts = {
        "vae": fill_part(lambda: kind_of_vae(**vae), held),
        "transformer": transformer.model,
    }
    pipeline = recipe.build(parts | {name: Processor(NoWords(), GRID) for name in recipe.small})
    text = NoReading(held, kind.text_tokens(GRID), states=states, lay=lay)
    return JointEditor(kind, pipeline, info, text=text, transformer=transformer)
