"""What Qwen-Image-2.1 has of its own: sizes, text, and how its pipeline is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decontext.editors.joint.editor import Edit
from decontext.editors.joint.engine import Size, Text
from decontext.editors.joint.loading import Recipe
from decontext.editors.language.patches import Grid
from decontext.editors.language.seeing import SeeingParts
from decontext.editors.qwen.causal import MULTIPLE, TRANSFORMER, CausalWiring, build_causal
from decontext.editors.qwen.kind import ASIDE
from decontext.editors.qwen.order import TOKENS_PER_PLACE
from decontext.editors.qwen.wiring import working_size

PUBLISHED: dict[str, Any] = {"num_layers": 32}
"""The transformer's configuration; it is diffusers' default."""

STATES = 4096
"""Width of Qwen3-VL-8B."""

BEFORE = 8
"""Text tokens before a picture, about; what is left of `ASIDE` comes after the last."""

RECIPE = Recipe(
    "QwenImage21Pipeline",
    {
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
        "vae": ("diffusers", "AutoencoderKLQwenImage21"),
        "transformer": ("diffusers", TRANSFORMER),
        "processor": ("decontext", "Processor"),
        "text_encoder": ("transformers", "Qwen3VLForConditionalGeneration"),
    },
    text=("processor", "text_encoder"),
    settings=("sample_sigmas",),
    small=("processor",),
    empty=build_causal,
)


@dataclass
class CausalKind:
    """See `joint.editor.Kind`. `side` is that of a square working size.

    The model is made to be sampled without guidance.
    """

    side: int = 1024
    steps: int = 40
    guidance: float = 1.0
    negative: str | None = None

    @property
    def square(self) -> Size:
        return self.side, self.side

    @property
    def most_pictures(self) -> int | None:
        return None

    def wire(self, vae: Any) -> CausalWiring:
        return CausalWiring(vae)

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        return working_size(width, height, side or self.side)

    def seen_sizes(self, width: int, height: int) -> Sequence[Size]:
        """To which a picture is brought for the language model: its working size."""
        return (working_size(width, height, self.side),)

    def text_tokens(self, grid: Grid) -> int:
        """Of a pass: pictures take the place of the language model's own tokens of them."""
        del grid
        return ASIDE

    def lay(self, pictures: Sequence[Tensor]) -> Tensor:
        """Which tokens of an instruction are pictures', `(1, tokens)`, without a language model."""
        places: list[bool] = []
        for picture in pictures:
            (size,) = self.seen_sizes(picture.shape[-1], picture.shape[-2])
            count = size[0] * size[1] // (MULTIPLE**2 * TOKENS_PER_PLACE)
            places += [False] * BEFORE + [True] * count
        return torch.tensor([places + [False] * (ASIDE - BEFORE)])

    def text_of(self, tensors: Mapping[str, Tensor]) -> Text:
        return Text(tensors["embeddings"], places=tensors["places"])

    def run(
        self, pipeline: Any, edit: Edit, text: Mapping[str, Tensor], away: Mapping[str, Tensor]
    ) -> Tensor:
        del away
        pipeline.vae = copy(pipeline.vae)  # it keeps what it has decoded in itself
        tokens, places = text["embeddings"], text["places"].to(text["embeddings"].device)
        # Asked for the words, the pipeline would call the language model, which may be gone.
        pipeline.encode_prompt = lambda **_: (tokens, None, places)
        configured = pipeline.config.sample_sigmas
        sigmas = None
        if configured is not None and len(configured) != edit.steps:
            sigmas = torch.linspace(1, 1 / edit.steps, edit.steps).tolist()
        width, height = edit.size
        pictures: Tensor = pipeline(
            image=edit.pictures,
            prompt="",
            height=height,
            width=width,
            num_inference_steps=edit.steps,
            sigmas=sigmas,
            true_cfg_scale=edit.guidance,
            generator=edit.generator,
            output_type="pt",
            output_resolution=self.side,
            callback_on_step_end=edit.on_step,
        ).images
        return pictures[:, :3]

    def asking(self, recipe: Recipe) -> SeeingParts:
        """How its pipeline asks the language model."""
        return SeeingParts(
            names=recipe.text,
            processor="processor",
            build=recipe.build,
            sizes=self.seen_sizes,
            ask=_ask,
            dropped=lambda pipeline, _ids: int(pipeline._drop_idx),
            replaced=True,
        )


def _ask(pipeline: Any, text: str, pictures: list[Any]) -> dict[str, Tensor]:
    embeddings, _, places = pipeline.encode_prompt(text, image=pictures)
    return {"embeddings": embeddings, "places": places}
