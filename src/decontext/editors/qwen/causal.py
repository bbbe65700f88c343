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
from decontext.editors.qwen.places import TOKENS_PER_PLACE, places_of, token_counts
from decontext.editors.qwen.sharing import Order, run_after, share_pictures
from decontext.editors.qwen.wiring import encode_frame
from decontext.editors.weights.plan import Encoder
from decontext.editors.weights.transformer import build_transformer, require_axes
from decontext.photo.resampling import resize

TRANSFORMER = "QwenImage21Transformer2DModel"
MULTIPLE = 16
ENCODER = Encoder(again=2_530, kept=3_370, flop=3.0e6, parameters=337_740_404)
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
        counts = token_counts(text)
        places = places_of(text)
        first = sum(pictures[:place]) // TOKENS_PER_PLACE
        start = int(counts[: int(places.nonzero()[first])].sum())
        return CausalLayout(
            text=int(counts.sum()) - sum(pictures),
            target=target,
            context=pictures[place],
            before=sum(pictures[:place]),
            after=sum(pictures[place + 1 :]),
            start=start,
        )

    def share(
        self,
        model: Any,
        target: Tensor,
        pictures: Sequence[Tensor],
        text: Text,
        blocks: int,
        *,
        again: bool,
    ) -> Tensor:
        """What is the same in every pass over these pictures, see `qwen.sharing`."""
        tokens = torch.cat([self.pack(latents) for latents in pictures], dim=1)
        order = Order.of(text, pictures, target)
        return share_pictures(model, tokens, text, order, blocks, again=again)

    def after(
        self,
        model: Any,
        shared: Tensor,
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
        words = text.tokens.shape[1] - Order.of(text, pictures, target).cut
        return replace(whole, words=words)

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        tokens = [self.pack(latents) for latents in (*pictures, target)]
        shapes = [(1, *latents.shape[-2:]) for latents in (*pictures, target)]
        count = tokens[-1].shape[1]
        places = places_of(text)
        own = places.new_ones(count // TOKENS_PER_PLACE)
        output: Tensor = model(
            hidden_states=torch.cat(tokens, dim=1),
            timestep=torch.full((1,), sigma, dtype=target.dtype, device=target.device),
            encoder_hidden_states=text.tokens,
            encoder_hidden_states_mask=None,  # nothing is padded
            img_shapes=[shapes],
            img_mask=torch.cat([places, own])[None],
            return_dict=False,
        )[0]
        return output[:, -count:]
