"""How Qwen-Image-2.1 is wired: one stream of text and pictures, and the target at its end.

The autoencoder has 64 channels for squares of 16 pixels, which are the tokens, and takes four
colours, the last of them opacity. The language model's tokens of a picture, each a square of 32
pixels, are replaced by four of these. Attention is causal but within a picture: nothing sees the
target but itself. Text and pictures are modulated as at noise level zero, so that what they
are does not depend on target and noise level at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from decontext.attention import CausalLayout
from decontext.editors.joint.engine import Size, Text
from decontext.editors.qwen.order import TOKENS_PER_PLACE, Order, places_of
from decontext.editors.qwen.sharing import run_after, run_whole, share_pictures
from decontext.editors.qwen.wiring import encode_frame
from decontext.editors.weights.plan import Encoder
from decontext.editors.weights.transformer import build_transformer, require_axes
from decontext.photo.resampling import resize

TRANSFORMER = "QwenImage21Transformer2DModel"
MULTIPLE = 16
ENCODER = Encoder(again=2_530, kept=3_120, flop=2.97e6, parameters=337_740_404, runs=3.9)
"""Counted on torch's meta device, as FLUX's."""


def build_causal(config: Mapping[str, Any]) -> Any:
    """The transformer without memory, but with what it computes itself: no file holds that.

    Raises: EditorError, the configuration cannot be used.
    """
    model = build_transformer(TRANSFORMER, config)
    require_axes(model)
    old, clock = model.pos_embed, model.time_text_embed.time_proj
    model.pos_embed = type(old)(theta=old.theta, axes_dim=old.axes_dim)
    model.time_text_embed.time_proj = type(clock)(timestep_dim=clock.timestep_dim)
    return model


class CausalWiring:
    """See `joint.engine.Wiring`."""

    encoder = ENCODER
    multiple = MULTIPLE

    def __init__(self, vae: Any) -> None:
        self.vae = vae

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        width, height = (side // self.multiple for side in size)
        shape = (1, self.vae.config.z_dim, 1, height, width)
        return torch.randn(shape, generator=generator, device=generator.device)

    def size_of(self, latents: Tensor) -> Size:
        return latents.shape[-1] * self.multiple, latents.shape[-2] * self.multiple

    def bring(self, image: Tensor, size: Size) -> Tensor:
        return image if size == (image.shape[-1], image.shape[-2]) else resize(image, size)

    def encode(self, pixels: Tensor) -> Tensor:
        return encode_frame(self.vae, torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1))

    def pack(self, latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    def unpack(self, tokens: Tensor, like: Tensor) -> Tensor:
        return tokens.transpose(1, 2).reshape(like.shape)

    def lay_out(self, text: Text, target: int, pictures: Sequence[int], place: int) -> CausalLayout:
        order = Order.among(places_of(text).tolist(), pictures)
        return CausalLayout(
            text=order.length - sum(pictures),
            target=target,
            context=pictures[place],
            before=sum(pictures[:place]),
            after=sum(pictures[place + 1 :]),
            start=order.pictures[place].begin,
        )

    def run_blocks(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> None:
        """A whole pass, of which no prediction is wanted."""
        order = Order.of(text, pictures, target)
        run_whole(model, self._join(pictures), self.pack(target), text, order, sigma)

    def share(
        self,
        model: Any,
        target: Tensor,
        pictures: Sequence[Tensor],
        text: Text,
        blocks: int,
        *,
        again: bool,
    ) -> tuple[Tensor, ...]:
        """What is the same in every pass over these pictures, see `qwen.sharing`."""
        order = Order.of(text, pictures, target)
        return share_pictures(model, self._join(pictures), text, order, blocks, again=again)

    def after(
        self,
        model: Any,
        shared: Sequence[Tensor],
        target: Tensor,
        pictures: Sequence[Tensor],
        text: Text,
        sigma: float,
    ) -> None:
        """The rest of a pass: of the pictures only the shapes are looked at."""
        order = Order.of(text, pictures, target)
        run_after(model, shared, self.pack(target), text, order, sigma)

    def lay_out_after(
        self, text: Text, target: Tensor, pictures: Sequence[Tensor], place: int
    ) -> CausalLayout:
        """The layout of `after`: instruction and target are the queries."""
        counts = [self.pack(latents).shape[1] for latents in (target, *pictures)]
        whole = self.lay_out(text, counts[0], counts[1:], place)
        order = Order.of(text, pictures, target)
        return replace(whole, words=order.length - order.prefix)

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        latents = (*pictures, target)
        shapes = [(1, *one.shape[-2:]) for one in latents]
        count = self.pack(target).shape[1]
        places = places_of(text)
        own = places.new_ones(count // TOKENS_PER_PLACE)
        output: Tensor = model(
            hidden_states=self._join(latents),
            timestep=torch.full((1,), sigma, dtype=target.dtype, device=target.device),
            encoder_hidden_states=text.tokens,
            encoder_hidden_states_mask=None,  # nothing is padded
            img_shapes=[shapes],
            img_mask=torch.cat([places, own])[None].to(target.device),
            return_dict=False,
        )[0]
        return output[:, -count:]

    def _join(self, pictures: Sequence[Tensor]) -> Tensor:
        return torch.cat([self.pack(latents) for latents in pictures], dim=1)
