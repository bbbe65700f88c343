"""Passes through FLUX's transformer and autoencoder, for every editor that is built on them.

An editor brings the text of a pass and the photo's positions; how the weights are held, which of
them are needed, where the tokens lie and what a step costs is settled here, once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from decontext.attention import SequenceLayout, measure
from decontext.editors._base import Cost
from decontext.editors.flux import family
from decontext.editors.weights.plan import TEXT_TOKENS, Demand, number_bytes
from decontext.editors.weights.transformer import (
    DTYPES,
    LoadedTransformer,
    Transformer,
    naming_size,
)
from decontext.editors.weights.work import pass_flop, step_flop
from decontext.machine import stands_apart
from decontext.photo.resampling import Kernel

Sizes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Text:
    """The text of a pass: tokens `(batch, positions, width)`, pooled `(batch, width)`.

    `guidance` is for transformers that take it as an input; `photo` are positions that stand for
    the photo and are to count as context. `places` are position ids `(positions, 3)`, float32, of
    texts that do not all lie at the origin.
    """

    tokens: Tensor
    pooled: Tensor
    guidance: float | None = None
    photo: range = range(0)
    places: Tensor | None = None


class FluxEngine:
    """A transformer and an autoencoder at work.

    `shift` leads from the position of a target token to that of the photo's token at the same
    place, `square` is the working size of a square photo, `text_tokens` what a pass has of them,
    `beside` the parameters of further parts that lie where the transformer does, `kernel` what a
    photo is brought to its working size with.

    Passes of several threads share the weights and nothing else. What changes the weights, choosing
    how they are held and loading them, is done by one thread at a time.
    """

    def __init__(
        self,
        transformer: Transformer,
        vae: Any,
        *,
        shift: tuple[int, int, int],
        square: tuple[int, int],
        text_tokens: int = TEXT_TOKENS,
        beside: int = 0,
        kernel: Kernel = "lanczos",
    ) -> None:
        self.transformer, self.vae = transformer, vae
        self.multiple = family.token_side(vae)
        self._shift, self._square, self._text_tokens = shift, square, text_tokens
        self._kernel: Kernel = kernel
        self._beside = beside + sum(weight.numel() for weight in vae.parameters())
        config = transformer.model.config
        self.blocks: tuple[int, int] = (config.num_layers, config.num_single_layers)
        family.freeze((vae,))
        # Block by block inside the checkpoint of `encode_image`: half of the memory at its peak.
        vae.encoder._gradient_checkpointing_func = family.run_again

    @property
    def device(self) -> torch.device:
        """Where the transformer computes; photos, noise and prompts are brought there."""
        return self.transformer.device

    @property
    def dtype(self) -> torch.dtype:
        """What the transformer computes with."""
        return self.transformer.dtype

    def settle(self, blocks: Sequence[int] = (), sizes: Sizes = (), samples: int = 1) -> None:
        """Choose how the transformer is held, where that is open, and bring the rest along."""
        with self.transformer.lock:
            self.transformer.settle(self._demand(blocks, sizes, samples))
            if self.transformer.plan is not None and self.vae.dtype != self.dtype:
                torch.nn.Module.to(self.vae, self.dtype)  # diffusers' own makes remarks
            self.vae.encoder.gradient_checkpointing = self.transformer.checkpointing

    def settle_for(self, noise: Tensor, blocks: Sequence[int]) -> None:
        """The same, for a pass over these target latents."""
        factor = self.multiple // 2
        self.settle(blocks, [(noise.shape[-1] * factor, noise.shape[-2] * factor)])

    def estimate(self, blocks: Sequence[int], sizes: Sizes, samples: int) -> Cost:
        """What a step over these blocks, sizes and draws takes. Raises: EditorError."""
        demand = self._demand(blocks, sizes, samples)
        transformer, dimensions = self.transformer, self.transformer.dimensions
        checkpointing, memory, words = transformer.checkpointing, 0, transformer.describe()
        dtype = self.dtype
        if isinstance(transformer, LoadedTransformer):
            plan = transformer.propose(demand)
            checkpointing, memory, words = plan.checkpointing, plan.total, plan.describe()
            dtype = DTYPES[number_bytes(plan.precision, gpu=demand.gpu)]
        return Cost(
            memory=memory,
            step_flop=step_flop(dimensions, demand, checkpointing=checkpointing),
            pass_flop=sum(pass_flop(dimensions, demand, w * h) for w, h in sizes) / len(sizes),
            blocks=demand.blocks,
            dtype=str(dtype).removeprefix("torch."),
            words=words,
        )

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Pure-noise target latents for a working size, see `Editor.draw_noise`."""
        channels = self.transformer.model.config.in_channels // 4
        noise = family.draw_noise(size, generator, channels=channels, multiple=self.multiple)
        return noise.to(self.device)

    def encode_image(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Context latents of a photo at a working size, see `Editor.encode_image`."""
        self.settle()
        return family.encode_image(
            self.vae,
            image,
            size,
            checkpointing=self.transformer.checkpointing,
            kernel=self._kernel,
        )

    def attend(
        self,
        context: Tensor,
        noise: Tensor,
        text: Callable[[], Text],
        sigma: float,
        blocks: Sequence[int],
    ) -> Tensor:
        """One pass up to the last of `blocks`: their context proportions, see `Editor.attend`.

        `text` is called when it is settled what the transformer computes with.
        """
        self.settle_for(noise, blocks)
        self.transformer.load_blocks(max(blocks, default=-1) + 1)
        run, layout = self.prepare_pass(context, noise, text(), sigma)
        return measure(run, layout, blocks)

    def predict(
        self, context: Tensor, noisy: Tensor, text: Callable[[], Text], sigma: float
    ) -> Tensor:
        """Velocity at the noisy target latents, of their shape for each text, float32."""
        self.settle()
        self.transformer.load_everything()
        run, layout = self.prepare_pass(context, noisy, text(), sigma)
        return family.unpack(run()[:, : layout.target], *noisy.shape[-2:]).float()

    def prepare_pass(
        self, context: Tensor, target: Tensor, text: Text, sigma: float
    ) -> tuple[Callable[[], Tensor], SequenceLayout]:
        """One call of the transformer, ready to run, and where its tokens lie.

        Latents are those of one picture; each text of the batch gets them.
        """
        model = self.transformer.model
        dtype, device = self.dtype, self.device
        tokens = [family.pack(latents.to(device, dtype)) for latents in (target, context)]
        batch, count = text.tokens.shape[:2]
        layout = SequenceLayout(
            count, tokens[0].shape[1], tokens[1].shape[1], photo_text=text.photo
        )
        guidance = None
        if model.config.guidance_embeds:
            guidance = torch.full((batch,), text.guidance or 0.0, device=device)
        places = text.places
        if places is None:
            places = torch.zeros(count, 3, dtype=dtype, device=device)
        ids = family.position_ids(target, context, shift=self._shift, like=places)

        def run() -> Tensor:
            with naming_size((count, *target.shape[-2:], *context.shape[-2:])):
                output: Tensor = model(
                    hidden_states=torch.cat(tokens, dim=1).expand(batch, -1, -1),
                    timestep=torch.full((batch,), sigma, dtype=dtype, device=device),
                    guidance=guidance,
                    pooled_projections=text.pooled,
                    encoder_hidden_states=text.tokens,
                    txt_ids=places,
                    img_ids=ids,
                    return_dict=False,
                )[0]
            return output

        return run, layout

    def _demand(self, blocks: Sequence[int], sizes: Sizes, samples: int) -> Demand:
        """What a step asks of the device; without blocks all of them, without sizes a square."""
        every = sum(self.blocks)
        return Demand(
            blocks=max(blocks, default=every - 1) + 1,
            measured=len(blocks) or every,
            sizes=tuple(sizes) or (self._square,),
            gpu=stands_apart(self.device),
            text_tokens=self._text_tokens,
            beside=self._beside,
            samples=samples,
            encoder_width=self.vae.config.block_out_channels[0],
        )
