"""FLUX.1 Kontext, and every other FluxKontextPipeline: a folder in diffusers' layout or a hub id.

Preprocessing, token counts and one forward pass, all through the pipeline's own parts, so that
what is optimised is what an ordinary edit sees. The sequence is text, target, context; the photo's
tokens carry 1 on the first position axis, the target's 0. The autoencoder's mode is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decontext.attention import SequenceLayout, measure
from decontext.editors import _flux_family as family
from decontext.editors._base import EditorInfo, OnEditStep, Prompt
from decontext.editors._loading import choose_device, choose_dtype, load_parts

INFO = EditorInfo(
    name="flux-kontext",
    title="FLUX.1 Kontext [dev]",
    weights="black-forest-labs/FLUX.1-Kontext-dev",
    licence="FLUX.1 [dev] Non-Commercial License",
    double_blocks=19,
    single_blocks=38,
    working_size="the nearest of 17 sizes of about 1 megapixel",
    memory="about 34 GB of weights in bfloat16, text encoders included",
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
) -> FluxKontextEditor:
    """Load FLUX.1 Kontext from its hub id, or any FluxKontextPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    info = INFO if source is None else replace(INFO, weights=str(source))
    return load_pipeline(info.weights, info, device=device, dtype=dtype, cache=cache)


def load_pipeline(
    source: str | Path,
    info: EditorInfo,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    default_steps: int = DEFAULT_STEPS,
) -> FluxKontextEditor:
    """Load a FluxKontextPipeline part by part, for `load` and for editors built the same way.

    Raises: as `load`.
    """
    import diffusers
    import transformers

    flux: Any = diffusers.FluxKontextPipeline
    place = choose_device(device)
    classes = {
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler,
        "tokenizer": transformers.CLIPTokenizer,
        "tokenizer_2": transformers.T5Tokenizer,
        "text_encoder": transformers.CLIPTextModel,
        "text_encoder_2": transformers.T5EncoderModel,
        "vae": diffusers.AutoencoderKL,
        "transformer": diffusers.FluxTransformer2DModel,
    }
    precision = choose_dtype(dtype, place)
    parts = load_parts(info.name, source, classes, dtype=precision, cache=cache)
    pipeline = flux(**parts).to(place)
    return FluxKontextEditor(pipeline, info, default_steps=default_steps)


class FluxKontextEditor:
    """The `Editor` protocol over a `diffusers.FluxKontextPipeline`, whose weights it freezes.

    `checkpointing` recomputes activations in the backward pass (default: large transformers only).
    """

    def __init__(
        self,
        pipeline: Any,
        info: EditorInfo = INFO,
        *,
        checkpointing: bool | None = None,
        default_steps: int = DEFAULT_STEPS,
    ) -> None:
        self._pipeline = pipeline
        self._transformer = pipeline.transformer
        self._vae = pipeline.vae
        self._default_steps = default_steps
        self._multiple = family.token_side(pipeline.vae)
        self.info = replace(
            info,
            double_blocks=self._transformer.config.num_layers,
            single_blocks=self._transformer.config.num_single_layers,
        )
        family.freeze(pipeline.components.values())
        pipeline.set_progress_bar_config(disable=True)
        self._checkpointing = family.prepare_transformer(self._transformer, checkpointing)

    @property
    def device(self) -> torch.device:
        """Where the transformer lives; photos, noise and prompts are brought there."""
        device: torch.device = self._transformer.device
        return device

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """Size to which the ordinary pipeline brings a photo of `width` x `height` pixels.

        Editors of about a megapixel use the preferred size of the nearest aspect ratio. Smaller
        ones (by the autoencoder's `sample_size`) keep the ratio at an area of `sample_size`
        squared, at least 48 pixels a side; longer strips than that allows are squeezed.
        """
        sample_size = self._vae.config.sample_size
        ratio = width / height
        if sample_size >= MEGAPIXEL_SAMPLE_SIZE:
            from diffusers.pipelines.flux import pipeline_flux_kontext as ordinary

            sizes: list[tuple[int, int]] = ordinary.PREFERRED_KONTEXT_RESOLUTIONS
            return min(sizes, key=lambda size: (abs(ratio - size[0] / size[1]), *size))
        longest = max(sample_size**2 / MINIMUM_SIDE, MINIMUM_SIDE)
        sides = (sample_size * ratio**0.5, sample_size / ratio**0.5)
        wide, high = (
            self._multiple * round(min(max(side, MINIMUM_SIDE), longest) / self._multiple)
            for side in sides
        )
        return wide, high

    @torch.no_grad()
    def encode_prompt(self, text: str, image: Tensor | None = None) -> Prompt:
        """Encode an instruction with both text encoders. `image` plays no part in this editor.

        What exceeds the text encoders' length is cut, as in an ordinary edit.

        Raises:
            InputError: the instruction is empty.
        """
        del image
        with _quiet_about_length():
            embeddings, pooled, ids = self._pipeline.encode_prompt(
                prompt=family.checked_prompt(text),
                prompt_2=None,
                max_sequence_length=self._text_length,
            )
        dtype = self._transformer.dtype
        tensors = {"embeddings": embeddings.to(dtype), "pooled": pooled.to(dtype), "ids": ids}
        return Prompt(text=text, tensors=tensors)

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Pure-noise target latents, float32 `(1, channels, height / 8, width / 8)`.

        `size` is a working size; the same seed gives the same noise on every machine.
        """
        channels = self._transformer.config.in_channels // 4
        noise = family.draw_noise(size, generator, channels=channels, multiple=self._multiple)
        return noise.to(self.device)

    def encode_image(self, image: Tensor) -> Tensor:
        """Context latents `(1, channels, height / 8, width / 8)`, differentiable in the pixels.

        `image` is `(1, 3, height, width)` in [0, 1] at any size; it is brought to the working size
        like Pillow's Lanczos does it, in float32.
        """
        size = self.working_size(image.shape[-1], image.shape[-2])
        return family.encode_image(self._vae, image, size, checkpointing=self._checkpointing)

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
        run, layout = self._prepare_pass(image, prompt, sigma, noise)
        return measure(run, layout, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """Velocity at the noisy target latents, of their shape, float32, differentiable."""
        run, layout = self._prepare_pass(image, prompt, sigma, noisy)
        velocity = run()[:, : layout.target]
        return family.unpack(velocity, *noisy.shape[-2:]).float()

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
        photo = family.to_pillow(image)
        width, height = self.working_size(*photo.size)
        total = steps or self._default_steps

        def report(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> Any:
            if on_step is not None:
                on_step(step + 1, total)
            return tensors

        edited: Tensor = self._pipeline(
            image=photo.resize((width, height), Image.Resampling.LANCZOS),
            prompt=text,
            height=height,
            width=width,
            max_area=height * width,
            num_inference_steps=total,
            guidance_scale=DEFAULT_GUIDANCE if guidance is None else guidance,
            generator=torch.Generator().manual_seed(seed),
            max_sequence_length=self._text_length,
            output_type="pt",
            callback_on_step_end=report,
            _auto_resize=False,
        ).images
        return edited.float().cpu()

    @property
    def _text_length(self) -> int:
        """Number of text tokens of a pass: always padded to the same, as in an ordinary edit."""
        return min(512, int(self._pipeline.tokenizer_2.model_max_length))

    def _prepare_pass(
        self, image: Tensor, prompt: Prompt, sigma: float, target: Tensor
    ) -> tuple[Callable[[], Tensor], SequenceLayout]:
        """One call of the transformer, ready to run, and where its tokens lie."""
        dtype, device = self._transformer.dtype, self.device
        context = self.encode_image(image)
        tokens = [family.pack(latents.to(device, dtype)) for latents in (target, context)]
        text = prompt.tensors
        layout = SequenceLayout(text["embeddings"].shape[1], tokens[0].shape[1], tokens[1].shape[1])
        guidance = None
        if self._transformer.config.guidance_embeds:
            guidance = torch.full((1,), DEFAULT_GUIDANCE, device=device)
        ids = family.position_ids(target, context, shift=CONTEXT_SHIFT, like=tokens[0])

        def run() -> Tensor:
            output: Tensor = self._transformer(
                hidden_states=torch.cat(tokens, dim=1),
                timestep=torch.full((1,), sigma, dtype=dtype, device=device),
                guidance=guidance,
                pooled_projections=text["pooled"],
                encoder_hidden_states=text["embeddings"],
                txt_ids=text["ids"],
                img_ids=ids,
                return_dict=False,
            )[0]
            return output

        return run, layout


@contextmanager
def _quiet_about_length() -> Iterator[None]:
    """Keep the pipeline's remark about cut instructions off the screen: it comes at every pass."""
    logger = logging.getLogger("diffusers.pipelines.flux.pipeline_flux_kontext")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
