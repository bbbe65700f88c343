"""What Qwen-Image-Edit has of its own: sizes, text, and how its two pipelines are called."""

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
from decontext.editors.language.patches import Grid, fit
from decontext.editors.language.seeing import SeeingParts
from decontext.editors.qwen.wiring import QwenWiring, working_size
from decontext.editors.weights.transformer import build_transformer, require_axes

TRANSFORMER = "QwenImageTransformer2DModel"
PUBLISHED: dict[str, Any] = {"num_layers": 60}
"""The transformer's configuration; it is diffusers' default."""

SMALL_VAE = {"base_dim": 8}
"""Of the autoencoder, to try things with."""

GUIDANCE = 4.0
NEGATIVE = " "
"""The instruction that an edit is guided away from, as the makers' own examples have it."""

ASIDE = 48
"""Text tokens beside those of the pictures, about: an instruction, and the wording around it."""


def build_qwen(config: Mapping[str, Any]) -> Any:
    """The transformer without memory, but with its rotary frequencies: no file holds them.

    Raises: EditorError, the configuration cannot be used.
    """
    model = build_transformer(TRANSFORMER, config)
    require_axes(model)
    old: Any = model.pos_embed
    model.pos_embed = type(old)(theta=old.theta, axes_dim=old.axes_dim, scale_rope=old.scale_rope)
    return model


PARTS = {
    "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    "vae": ("diffusers", "AutoencoderKLQwenImage"),
    "transformer": ("diffusers", TRANSFORMER),
    "tokenizer": ("transformers", "AutoTokenizer"),
    "processor": ("decontext", "Processor"),
    "text_encoder": ("transformers", "Qwen2_5_VLForConditionalGeneration"),
}
EDIT, PLUS = (
    Recipe(name, PARTS, text=("processor", "text_encoder"), small=("processor",), empty=build_qwen)
    for name in ("QwenImageEditPipeline", "QwenImageEditPlusPipeline")
)


@dataclass
class QwenKind:
    """See `joint.editor.Kind`. `several` pictures are what the second pipeline takes.

    `side` is that of a square working size; the language model sees a picture of about
    `seen_side` squared, or, without one, the picture at its working size.
    """

    steps: int
    several: bool
    side: int = 1024
    seen_side: int | None = None
    guidance: float = GUIDANCE
    negative: str | None = NEGATIVE

    @property
    def square(self) -> Size:
        return self.side, self.side

    @property
    def most_pictures(self) -> int | None:
        return None if self.several else 1

    def wire(self, vae: Any) -> QwenWiring:
        return QwenWiring(vae)

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        return working_size(width, height, side or self.side)

    def seen_sizes(self, width: int, height: int) -> Sequence[Size]:
        """To which a picture is brought for the language model, before its processor."""
        return (working_size(width, height, self.seen_side or self.side),)

    def text_tokens(self, grid: Grid) -> int:
        """Of a pass with one square picture, about."""
        wide, tall = fit(*self.seen_sizes(*self.square)[-1], grid)
        return wide * tall // grid.token**2 + ASIDE

    def text_of(self, tensors: Mapping[str, Tensor]) -> Text:
        return Text(tensors["embeddings"])

    def run(
        self, pipeline: Any, edit: Edit, text: Mapping[str, Tensor], away: Mapping[str, Tensor]
    ) -> Tensor:
        pipeline.vae = copy(pipeline.vae)  # it keeps what it has decoded in itself
        options = _embeddings("prompt", text)
        if edit.guidance > 1:
            options |= _embeddings("negative_prompt", away)
        width, height = edit.size
        pictures: Tensor = pipeline(
            image=edit.pictures if self.several else edit.pictures[0],
            true_cfg_scale=edit.guidance,
            height=height,
            width=width,
            num_inference_steps=edit.steps,
            generator=edit.generator,
            output_type="pt",
            callback_on_step_end=edit.on_step,
            **options,
        ).images
        return pictures

    def asking(self, recipe: Recipe) -> SeeingParts:
        """How its pipeline asks the language model."""
        return SeeingParts(
            names=recipe.text,
            processor="processor",
            build=recipe.build,
            sizes=self.seen_sizes,
            ask=self._ask,
            dropped=lambda pipeline, _ids: int(pipeline.prompt_template_encode_start_idx),
        )

    def _ask(self, pipeline: Any, text: str, pictures: list[Any]) -> dict[str, Tensor]:
        shown = pictures if self.several else pictures[0]
        return {"embeddings": pipeline.encode_prompt(text, image=shown)[0]}


def _embeddings(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tokens = tensors["embeddings"]
    everything = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
    return {f"{name}_embeds": tokens, f"{name}_embeds_mask": everything}
