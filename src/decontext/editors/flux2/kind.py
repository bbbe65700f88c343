"""What FLUX.2 has of its own: sizes, text, and how its two pipelines are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from decontext.editors.flux2.wiring import Flux2Wiring, working_size
from decontext.editors.joint.editor import Edit
from decontext.editors.joint.engine import Size, Text
from decontext.editors.joint.loading import Recipe
from decontext.editors.weights.text import TextParts
from decontext.errors import InputError

TEXT_TOKENS = 512
"""Of a pass, padding included: all of them take part in attention."""

SIDES, RATIO = 64, 8
"""Fewest pixels a side, and largest ratio of the sides, of a photo that FLUX.2 edits."""

COMMON = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "vae": ("diffusers", "AutoencoderKLFlux2"),
    "transformer": ("diffusers", "Flux2Transformer2DModel"),
}
KLEIN = Recipe(
    "Flux2KleinPipeline",
    COMMON
    | {
        "tokenizer": ("transformers", "AutoTokenizer"),
        "text_encoder": ("transformers", "Qwen3ForCausalLM"),
    },
    text=("tokenizer", "text_encoder"),
    settings=("is_distilled",),
)
DEV = Recipe(
    "Flux2Pipeline",
    COMMON
    | {
        # Of the processor only this: the rest is for pictures, and needs torchvision.
        "tokenizer": ("transformers", "AutoTokenizer"),
        "text_encoder": ("transformers", "Mistral3ForConditionalGeneration"),
    },
    text=("tokenizer", "text_encoder"),
)


class Flux2Kind:
    """See `joint.editor.Kind`. `distilled` ones take no guidance at all.

    `embedded` guidance is an input of the transformer; otherwise a second pass with an empty
    instruction is what an edit is guided away from.
    """

    square: Size = (1024, 1024)
    most_pictures = None

    def __init__(
        self, *, steps: int, guidance: float, distilled: bool = False, embedded: bool = False
    ) -> None:
        self.steps, self.guidance = steps, guidance
        self.negative = None if distilled or embedded else ""
        self._embedded = embedded

    def wire(self, vae: Any) -> Flux2Wiring:
        return Flux2Wiring(vae)

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        return working_size(width, height, side, multiple=16)

    def text_of(self, tensors: Mapping[str, Tensor]) -> Text:
        return Text(tensors["embeddings"], guidance=self.guidance if self._embedded else None)

    def run(
        self, pipeline: Any, edit: Edit, text: Mapping[str, Tensor], away: Mapping[str, Tensor]
    ) -> Tensor:
        for picture in edit.pictures:
            _require_editable(*picture.size)
        options: dict[str, Any] = {"guidance_scale": edit.guidance}
        if away:
            options["negative_prompt_embeds"] = away["embeddings"]
        elif not self._embedded:
            options["guidance_scale"] = 1.0  # a distilled one remarks on any other
        width, height = edit.size
        pictures: Tensor = pipeline(
            image=edit.pictures,
            prompt_embeds=text["embeddings"],
            height=height,
            width=width,
            num_inference_steps=edit.steps,
            generator=edit.generator,
            output_type="pt",
            callback_on_step_end=edit.on_step,
            **options,
        ).images
        return pictures


def text_parts(recipe: Recipe) -> TextParts:
    """How an instruction is encoded: the states of three layers side by side."""
    return TextParts(recipe.text, recipe.build, _encode, frozenset({"embeddings"}))


def _encode(pipeline: Any, text: str, length: int) -> dict[str, Tensor]:
    embeddings, _ = pipeline.encode_prompt(text, max_sequence_length=length)
    return {"embeddings": embeddings}


def _require_editable(width: int, height: int) -> None:
    if min(width, height) < SIDES or max(width, height) > RATIO * min(width, height):
        raise InputError(
            f"the photo is {width} x {height}; FLUX.2 edits photos of at least {SIDES} pixels a "
            f"side, one side at most {RATIO} times the other.",
            "Crop or enlarge it.",
        )
