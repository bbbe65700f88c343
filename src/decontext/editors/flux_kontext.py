"""FLUX.1 Kontext, and every other FluxKontextPipeline: a folder in diffusers' layout or a hub id.

Preprocessing, token counts and one forward pass, all through the pipeline's own parts, so that
what is optimised is what an ordinary edit sees. The sequence is text, target, context; the photo's
tokens carry 1 on the first position axis, the target's 0. The autoencoder's mode is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decontext.attention import SequenceLayout, measure
from decontext.editors import _flux_family as family
from decontext.editors._base import Cost, EditorInfo, OnEditStep, Prompt
from decontext.editors._flux_loading import FluxParts, open_parts
from decontext.editors._plan import Demand, pass_flop, step_flop
from decontext.editors._text import ResidentText, TextEncoder
from decontext.editors._transformer import LoadedTransformer, Transformer

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
        self._multiple = family.token_side(pipeline.vae)
        config = self._transformer.model.config
        self.info = replace(
            info, double_blocks=config.num_layers, single_blocks=config.num_single_layers
        )
        pipeline.set_progress_bar_config(disable=True)
        # Block by block inside the checkpoint of `encode_image`: half of the memory at its peak.
        self._vae.encoder._gradient_checkpointing_func = family.run_again

    @property
    def device(self) -> torch.device:
        """Where the transformer computes; photos, noise and prompts are brought there."""
        return self._transformer.device

    def working_size(self, width: int, height: int, side: int | None = None) -> tuple[int, int]:
        """Size to which the ordinary pipeline brings a photo of `width` x `height` pixels.

        Editors of about a megapixel use the preferred size of the nearest aspect ratio. Smaller
        ones (by the autoencoder's `sample_size`), and all with a `side`, keep the ratio at an area
        of that squared, at least 48 pixels a side; longer strips than that allows are squeezed.
        """
        area_side = side or self._vae.config.sample_size
        ratio = width / height
        if side is None and area_side >= MEGAPIXEL_SAMPLE_SIZE:
            from diffusers.pipelines.flux import pipeline_flux_kontext as ordinary

            sizes: list[tuple[int, int]] = ordinary.PREFERRED_KONTEXT_RESOLUTIONS
            return min(sizes, key=lambda size: (abs(ratio - size[0] / size[1]), *size))
        longest = max(area_side**2 / MINIMUM_SIDE, MINIMUM_SIDE)
        sides = (area_side * ratio**0.5, area_side / ratio**0.5)
        wide, high = (
            self._multiple * round(min(max(side, MINIMUM_SIDE), longest) / self._multiple)
            for side in sides
        )
        return wide, high

    def prepare(
        self,
        prompts: Sequence[str],
        blocks: Sequence[int],
        *,
        sizes: Sequence[tuple[int, int]] = (),
        images: Sequence[Tensor] = (),
    ) -> None:
        """Encode the instructions, forget the text encoders, load the blocks up to the last.

        How the blocks are held is chosen here, for the working `sizes` (default: the ordinary one).

        Raises:
            EditorError: weights are missing, damaged or do not fit.
        """
        del images  # the text encoders do not see them
        self._settle(blocks, sizes)
        self._text.prepare(family.checked_prompt(prompt) for prompt in prompts)
        self._transformer.load_blocks(max(blocks) + 1)

    def estimate(
        self, blocks: Sequence[int], sizes: Sequence[tuple[int, int]], samples: int
    ) -> Cost:
        """What a step over these blocks, sizes and draws takes. Raises: EditorError."""
        demand = self._demand(blocks, sizes)
        dimensions, transformer = self._transformer.dimensions, self._transformer
        checkpointing, memory, words = transformer.checkpointing, 0, transformer.describe()
        if isinstance(transformer, LoadedTransformer):
            plan = transformer.propose(demand)
            checkpointing, memory, words = plan.checkpointing, plan.total, plan.describe()
        return Cost(
            memory=memory,
            step_flop=samples * step_flop(dimensions, demand, checkpointing=checkpointing),
            pass_flop=sum(pass_flop(dimensions, demand, w * h) for w, h in sizes) / len(sizes),
            blocks=demand.blocks,
            words=words,
        )

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
        channels = self._transformer.model.config.in_channels // 4
        noise = family.draw_noise(size, generator, channels=channels, multiple=self._multiple)
        return noise.to(self.device)

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Context latents `(1, channels, height / 8, width / 8)`, differentiable in the pixels.

        `image` is `(1, 3, height, width)` in [0, 1] at any size; it is brought to the working
        size, by default the ordinary one, like Pillow's Lanczos does it, in float32.
        """
        self._settle()
        size = size or self.working_size(image.shape[-1], image.shape[-2])
        return family.encode_image(
            self._vae, image, size, checkpointing=self._transformer.checkpointing
        )

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
        self._settle(blocks, [self._size_of(noise)])
        return self.attend_latents(self.encode_image(image), prompt, sigma, noise, blocks)

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """As `attend`, from what `encode_image` returned, differentiable in it."""
        self._settle(blocks, [self._size_of(noise)])
        self._transformer.load_blocks(max(blocks, default=-1) + 1)
        run, layout = self._prepare_pass(context, prompt, sigma, noise)
        return measure(run, layout, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """Velocity at the noisy target latents, of their shape, float32, differentiable."""
        context = self.encode_image(image)
        self._transformer.load_everything()
        run, layout = self._prepare_pass(context, prompt, sigma, noisy)
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
        self._settle()
        encoded = self._on_device(self._text.encode(text))
        self._transformer.load_everything()

        def report(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> Any:
            if on_step is not None:
                on_step(step + 1, total)
            return tensors

        edited: Tensor = self._pipeline(
            image=photo.resize((width, height), Image.Resampling.LANCZOS),
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

    def _demand(self, blocks: Sequence[int], sizes: Sequence[tuple[int, int]] = ()) -> Demand:
        """What a pass asks of the device; without blocks all of them, without sizes a square."""
        every = self.info.double_blocks + self.info.single_blocks
        return Demand(
            blocks=max(blocks, default=every - 1) + 1,
            measured=len(blocks) or every,
            sizes=tuple(sizes) or (self.working_size(1, 1),),
            gpu=self.device.type == "cuda",
        )

    def _settle(self, blocks: Sequence[int] = (), sizes: Sequence[tuple[int, int]] = ()) -> None:
        """Choose how the transformer is held, where that is open, and bring the rest along."""
        transformer = self._transformer
        transformer.settle(self._demand(blocks, sizes))
        if transformer.plan is not None and self._vae.dtype != transformer.dtype:
            torch.nn.Module.to(self._vae, transformer.dtype)  # diffusers' own makes remarks
        self._vae.encoder.gradient_checkpointing = transformer.checkpointing

    def _on_device(self, tensors: Any) -> dict[str, Tensor]:
        dtype = self._transformer.dtype
        return {name: tensor.to(self.device, dtype) for name, tensor in tensors.items()}

    def _size_of(self, latents: Tensor) -> tuple[int, int]:
        factor = self._multiple // 2
        return latents.shape[-1] * factor, latents.shape[-2] * factor

    def _prepare_pass(
        self, context: Tensor, prompt: Prompt, sigma: float, target: Tensor
    ) -> tuple[Callable[[], Tensor], SequenceLayout]:
        """One call of the transformer, ready to run, and where its tokens lie."""
        model, rotary = self._transformer.model, self._transformer.rotary
        dtype, device = self._transformer.dtype, self.device
        tokens = [family.pack(latents.to(device, dtype)) for latents in (target, context)]
        text = self._on_device(prompt.tensors)
        count = text["embeddings"].shape[1]
        layout = SequenceLayout(count, tokens[0].shape[1], tokens[1].shape[1])
        guidance = None
        if model.config.guidance_embeds:
            guidance = torch.full((1,), DEFAULT_GUIDANCE, device=device)
        ids = family.position_ids(target, context, shift=CONTEXT_SHIFT, like=tokens[0])

        def run() -> Tensor:
            rotary.size = (count, *target.shape[-2:], *context.shape[-2:])
            try:
                output: Tensor = model(
                    hidden_states=torch.cat(tokens, dim=1),
                    timestep=torch.full((1,), sigma, dtype=dtype, device=device),
                    guidance=guidance,
                    pooled_projections=text["pooled"],
                    encoder_hidden_states=text["embeddings"],
                    txt_ids=torch.zeros(count, 3, dtype=dtype, device=device),
                    img_ids=ids,
                    return_dict=False,
                )[0]
            finally:
                rotary.size = None
            return output

        return run, layout
