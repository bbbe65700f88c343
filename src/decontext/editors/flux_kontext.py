"""FLUX.1 Kontext, and every other FluxKontextPipeline: a folder in diffusers' layout or a hub id.

Preprocessing, token counts and one forward pass, all through the pipeline's own parts, so that
what is optimised is what an ordinary edit sees. The sequence is text, target, context; the photo's
tokens carry 1 on the first position axis, the target's 0. The autoencoder's mode is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.editors._base import Cost, EditorInfo, OnEditStep, Outlook, Prompt
from decontext.editors.flux import family
from decontext.editors.flux.diagnosis import diagnose_flux
from decontext.editors.flux.engine import FluxEngine, Text
from decontext.editors.flux.loading import FluxParts, open_parts
from decontext.editors.flux.weightless import flux_pipeline, flux_text, flux_transformer
from decontext.editors.weights.text import ResidentText, TextEncoder
from decontext.editors.weights.transformer import Transformer
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="flux-kontext",
    title="FLUX.1 Kontext [dev]",
    weights="black-forest-labs/FLUX.1-Kontext-dev",
    licence="FLUX.1 [dev] Non-Commercial License",
    double_blocks=19,
    single_blocks=38,
    working_size="the nearest of 17 sizes of about 1 megapixel",
    memory="19 GB of weights in bfloat16, 10 in int8, 6 in nf4, 1 streamed; see 'doctor'",
)
DEFAULT_GUIDANCE = 3.5
DEFAULT_STEPS = 28
MEGAPIXEL_SAMPLE_SIZE = 1024
MINIMUM_SIDE = 48
CONTEXT_SHIFT = (1, 0, 0)
"""From the position of a target token to that of the photo's token at the same place."""


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    parts: str | Path | None = None,
    stream_weights: bool = False,
) -> FluxKontextEditor:
    """Load FLUX.1 Kontext from its hub id, or any FluxKontextPipeline from `source`.

    `source` may also be the transformer's single file; the rest comes from `parts`, by default the
    folder that the file lies in, or the hub. Weights are read when they are first needed.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    info = INFO if source is None else replace(INFO, weights=str(source))
    return load_pipeline(
        info.weights,
        info,
        device=device,
        dtype=dtype or "auto",
        cache=cache,
        parts=parts,
        stream_weights=stream_weights,
        keep_embeddings=True,
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux(INFO)


def weightless(held: Held) -> FluxKontextEditor:
    """The published editor without its weights, see `Held`."""
    transformer = flux_transformer(INFO.name, held)
    text: Any = flux_text(held)
    return FluxKontextEditor(flux_pipeline(transformer, held), text=text, transformer=transformer)


def load_pipeline(
    source: str | Path,
    info: EditorInfo,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    parts: str | Path | None = None,
    stream_weights: bool = False,
    keep_embeddings: bool = False,
    default_steps: int = DEFAULT_STEPS,
) -> FluxKontextEditor:
    """Load a FluxKontextPipeline part by part, for `load` and for editors built the same way.

    `keep_embeddings` keeps encoded instructions on disk.

    Raises: as `load`.
    """
    found: FluxParts = open_parts(
        info.name,
        source,
        device=device,
        dtype=dtype,
        cache=cache,
        parts=parts or INFO.weights,
        stream_weights=stream_weights,
        keep_embeddings=keep_embeddings,
    )
    return FluxKontextEditor(
        found.pipeline,
        info,
        default_steps=default_steps,
        text=found.text,
        transformer=found.transformer,
    )


class FluxKontextEditor:
    """The `Editor` protocol over a `diffusers.FluxKontextPipeline`, whose weights it freezes.

    A pipeline that is complete in memory is used as it is; `checkpointing` then recomputes
    activations in the backward pass (default: large transformers only). From files come `text` and
    `transformer`, which load what is needed when it is needed.
    """

    def __init__(
        self,
        pipeline: Any,
        info: EditorInfo = INFO,
        *,
        checkpointing: bool | None = None,
        default_steps: int = DEFAULT_STEPS,
        text: TextEncoder | ResidentText | None = None,
        transformer: Transformer | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._vae = pipeline.vae
        self._text = text or ResidentText(pipeline)
        family.freeze(pipeline.components.values())
        self._transformer = transformer or Transformer(
            pipeline.transformer, checkpointing=checkpointing
        )
        self._default_steps = default_steps
        self._engine = FluxEngine(
            self._transformer,
            self._vae,
            shift=CONTEXT_SHIFT,
            square=self.working_size(1, 1),
            text_tokens=self._text.length,
        )
        double, single = self._engine.blocks
        self.info = replace(info, double_blocks=double, single_blocks=single)
        pipeline.set_progress_bar_config(disable=True)

    @property
    def device(self) -> torch.device:
        """Where the transformer computes; photos, noise and prompts are brought there."""
        return self._engine.device

    @property
    def precision(self) -> str:
        """How the transformer's weights are held, in words."""
        return self._transformer.describe()

    def working_size(self, width: int, height: int, side: int | None = None) -> tuple[int, int]:
        """Size to which the ordinary pipeline brings a photo of `width` x `height` pixels.

        Editors of about a megapixel use the preferred size of the nearest aspect ratio. Smaller
        ones (by the autoencoder's `sample_size`), and all with a `side`, keep the ratio at an area
        of that squared, at least 48 pixels a side; longer strips than that allows are squeezed.
        """
        area_side = side or self._vae.config.sample_size
        multiple = family.token_side(self._vae)
        ratio = width / height
        if side is None and area_side >= MEGAPIXEL_SAMPLE_SIZE:
            from diffusers.pipelines.flux import pipeline_flux_kontext as ordinary

            sizes: list[tuple[int, int]] = ordinary.PREFERRED_KONTEXT_RESOLUTIONS
            return min(sizes, key=lambda size: (abs(ratio - size[0] / size[1]), *size))
        longest = max(area_side**2 / MINIMUM_SIDE, MINIMUM_SIDE)
        sides = (area_side * ratio**0.5, area_side / ratio**0.5)
        wide, high = (
            multiple * round(min(max(side, MINIMUM_SIDE), longest) / multiple) for side in sides
        )
        return wide, high

    def prepare(
        self,
        prompts: Sequence[str],
        blocks: Sequence[int],
        *,
        sizes: Sequence[tuple[int, int]] = (),
        images: Sequence[Tensor] = (),
        samples: int = 1,
    ) -> None:
        """Encode the instructions, forget the text encoders, load the blocks up to the last.

        How the blocks are held is chosen here, for the working `sizes` (default: the ordinary one)
        and so many draws of a step.

        Raises:
            EditorError: weights are missing, damaged or do not fit.
        """
        del images  # the text encoders do not see them
        self._engine.settle(blocks, sizes, samples)
        self._text.prepare(family.checked_prompt(prompt) for prompt in prompts)
        self._transformer.load_blocks(max(blocks) + 1)

    def estimate(
        self, blocks: Sequence[int], sizes: Sequence[tuple[int, int]], samples: int
    ) -> Cost:
        """What a step over these blocks, sizes and draws takes. Raises: EditorError."""
        return self._engine.estimate(blocks, sizes, samples)

    def rest(self) -> None:
        """See `Rests`."""
        self._transformer.forget_blocks()

    def for_measuring(self) -> FluxKontextEditor:
        """The same editor in the best precision that fits, where this one is quantised."""
        transformer = self._transformer.for_measuring()
        if transformer is self._transformer:
            return self
        components = self._pipeline.components | {"transformer": transformer.model}
        return FluxKontextEditor(
            type(self._pipeline)(**components),
            self.info,
            default_steps=self._default_steps,
            text=self._text,
            transformer=transformer,
        )

    @torch.no_grad()
    def encode_prompt(self, text: str, image: Tensor | None = None) -> Prompt:
        """Encode an instruction with both text encoders. `image` plays no part in this editor.

        What exceeds the text encoders' length is cut, as in an ordinary edit.

        Raises:
            InputError: the instruction is empty.
        """
        del image
        return Prompt(text=text, tensors=self._text.encode(family.checked_prompt(text)))

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Pure-noise target latents, float32 `(1, channels, height / 8, width / 8)`.

        `size` is a working size; the same seed gives the same noise on every machine.
        """
        return self._engine.draw_noise(size, generator)

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Context latents `(1, channels, height / 8, width / 8)`, differentiable in the pixels.

        `image` is `(1, 3, height, width)` in [0, 1] at any size; it is brought to the working
        size, by default the ordinary one, like Pillow's Lanczos does it, in float32.
        """
        size = size or self.working_size(image.shape[-1], image.shape[-2])
        return self._engine.encode_image(image, size)

    def attend(
        self,
        image: Tensor,
        prompt: Prompt,
        sigma: float,
        noise: Tensor,
        blocks: Sequence[int],
    ) -> Tensor:
        """One denoising pass up to the last of `blocks`: their context proportions.

        Returns float32 `(len(blocks),)`, differentiable in `image`.
        """
        self._engine.settle_for(noise, blocks)
        return self.attend_latents(self.encode_image(image), prompt, sigma, noise, blocks)

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """As `attend`, from what `encode_image` returned, differentiable in it."""
        return self._engine.attend(context, noise, lambda: self._text_of(prompt), sigma, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """Velocity at the noisy target latents, of their shape, float32, differentiable."""
        context = self.encode_image(image)
        return self._engine.predict(context, noisy, lambda: self._text_of(prompt), sigma)

    def edit(
        self,
        image: Tensor,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        on_step: OnEditStep | None = None,
    ) -> Tensor:
        """Edit a photo through the pipeline's own call, at the working size.

        `image` is `(1, 3, height, width)` in [0, 1]; Pillow resizes it, as for anyone's edit.
        Returns float32 of the same form on the CPU.

        Raises:
            InputError: the instruction is empty.
        """
        text = family.checked_prompt(prompt)
        photo = family.resize_for_edit(image, self.working_size)
        width, height = photo.size
        total = steps or self._default_steps
        self._engine.settle()
        encoded = self._on_device(self._text.encode(text))
        self._transformer.load_everything()

        def report(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> Any:
            if on_step is not None:
                on_step(step + 1, total)
            return tensors

        edited: Tensor = self._own_pipeline()(
            image=photo,
            prompt_embeds=encoded["embeddings"],
            pooled_prompt_embeds=encoded["pooled"],
            height=height,
            width=width,
            max_area=height * width,
            num_inference_steps=total,
            guidance_scale=DEFAULT_GUIDANCE if guidance is None else guidance,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
            callback_on_step_end=report,
            _auto_resize=False,
        ).images
        return edited.float().cpu()

    def _own_pipeline(self) -> Any:
        """The pipeline for one edit: it and its scheduler keep where they are in themselves."""
        own = copy(self._pipeline)
        own.scheduler = deepcopy(self._pipeline.scheduler)
        return own

    def _on_device(self, tensors: Any) -> dict[str, Tensor]:
        dtype = self._engine.dtype
        return {name: tensor.to(self.device, dtype) for name, tensor in tensors.items()}

    def _text_of(self, prompt: Prompt) -> Text:
        tensors = self._on_device(prompt.tensors)
        return Text(tensors["embeddings"], tensors["pooled"], guidance=DEFAULT_GUIDANCE)
