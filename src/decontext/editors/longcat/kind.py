"""What LongCat-Image-Edit has of its own: sizes, text, and how its pipeline is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from decontext.editors.joint.editor import Edit
from decontext.editors.joint.engine import Size, Text
from decontext.editors.joint.loading import Recipe
from decontext.editors.language.patches import Grid, fit
from decontext.editors.language.seeing import SeeingParts
from decontext.editors.longcat.wiring import LongCatWiring, text_ids, working_size
from decontext.editors.weights.transformer import build_transformer, require_axes

TRANSFORMER = "LongCatImageTransformer2DModel"
PUBLISHED: dict[str, Any] = {"num_layers": 10, "num_single_layers": 20}
"""Of the transformer's configuration, what differs from diffusers' defaults."""

INSTRUCTION = 512
"""Positions of an instruction, padding included: all of them take part in attention."""

VISION_STARTS = "<|vision_start|>"


def build_longcat(config: Mapping[str, Any]) -> Any:
    """The transformer without memory. Raises: EditorError, the configuration cannot be used."""
    model = build_transformer(TRANSFORMER, config)
    require_axes(model)
    return model


RECIPE = Recipe(
    "LongCatImageEditPipeline",
    {
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
        "vae": ("diffusers", "AutoencoderKL"),
        "transformer": ("diffusers", TRANSFORMER),
        "tokenizer": ("transformers", "AutoTokenizer"),
        "text_processor": ("decontext", "Processor"),
        "text_encoder": ("transformers", "Qwen2_5_VLForConditionalGeneration"),
    },
    text=("tokenizer", "text_processor", "text_encoder"),
    small=("text_processor",),
    empty=build_longcat,
)


@dataclass
class LongCatKind:
    """See `joint.editor.Kind`. `side` is that of a square working size."""

    side: int = 1024
    steps: int = 50
    guidance: float = 4.5
    negative: str | None = ""

    @property
    def square(self) -> Size:
        return self.working_size(1, 1, None)

    @property
    def most_pictures(self) -> int | None:
        return 1

    def wire(self, vae: Any) -> LongCatWiring:
        return LongCatWiring(vae)

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        return working_size(width, height, side or self.side)

    def seen_sizes(self, width: int, height: int) -> Sequence[Size]:
        """To which a picture is brought for the language model: half of its working size."""
        size = working_size(width, height, self.side)
        return size, (size[0] // 2, size[1] // 2)

    def text_tokens(self, grid: Grid) -> int:
        """Of a pass with a square photo; its tokens lie between two marks."""
        wide, tall = fit(*self.seen_sizes(*self.square)[-1], grid)
        return wide * tall // grid.token**2 + INSTRUCTION + 2

    def text_of(self, tensors: Mapping[str, Tensor]) -> Text:
        return Text(tensors["embeddings"])

    def run(
        self, pipeline: Any, edit: Edit, text: Mapping[str, Tensor], away: Mapping[str, Tensor]
    ) -> Tensor:
        answers = iter((text["embeddings"], away["embeddings"]))

        def encode_prompt(**_options: Any) -> tuple[Tensor, Tensor]:
            tokens = next(answers)
            return tokens, text_ids(tokens.shape[1], tokens.device)

        # The pipeline takes states and no words only by way of an error, and reports no steps.
        pipeline.encode_prompt = encode_prompt
        pipeline.progress_bar = _report_to(edit.on_step)
        pictures: Tensor = pipeline(
            image=edit.pictures[0],
            prompt="",
            num_inference_steps=edit.steps,
            guidance_scale=edit.guidance,
            generator=edit.generator,
            output_type="pt",
        ).images
        return pictures

    def asking(self, recipe: Recipe) -> SeeingParts:
        """How its pipeline asks the language model."""
        return SeeingParts(
            names=recipe.text,
            processor="text_processor",
            build=recipe.build,
            sizes=self.seen_sizes,
            ask=_ask,
            dropped=_dropped,
        )


def _ask(pipeline: Any, text: str, pictures: list[Any]) -> dict[str, Tensor]:
    return {"embeddings": pipeline.encode_prompt([text], image=pictures[0])[0]}


def _dropped(pipeline: Any, ids: Sequence[int]) -> int:
    return ids.index(pipeline.tokenizer.convert_tokens_to_ids(VISION_STARTS))


def _report_to(on_step: Callable[..., Any]) -> Callable[..., Any]:
    """What stands where a pipeline has its progress bar."""

    class Steps:
        done = 0

        def update(self) -> None:
            on_step(None, self.done, None, {})
            self.done += 1

    @contextmanager
    def bar(total: int) -> Any:
        del total
        yield Steps()

    return bar
