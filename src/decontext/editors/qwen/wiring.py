"""How Qwen-Image-Edit is wired: from pixels to tokens and through its transformer.

The autoencoder is one of videos: latents are `(1, 16, 1, height / 8, width / 8)`, less their
channels' mean and divided by their deviation; a token is two by two of them. Of the three position
axes the first is 0 for the picture being made and k for the k-th picture that is given; rows and
columns of each are counted from its middle. Text goes on where the largest picture ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.joint.engine import Size, Text, text_first
from decontext.editors.weights.plan import Encoder
from decontext.photo.resampling import resize

ENCODER = Encoder(again=1_945, kept=4_700, flop=6.75e6, parameters=126_892_531, runs=3.5)
"""Counted on torch's meta device, as FLUX's."""

MULTIPLE = 32
"""Of which both sides of a working size are multiples."""


class QwenWiring:
    """See `joint.engine.Wiring`."""

    encoder = ENCODER
    lay_out = staticmethod(text_first)

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.multiple = 2 * int(2 ** len(vae.temperal_downsample))

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        width, height = (side // self.multiple * 2 for side in size)
        shape = (1, self.vae.config.z_dim, 1, height, width)
        return torch.randn(shape, generator=generator, device=generator.device)

    def size_of(self, latents: Tensor) -> Size:
        half = self.multiple // 2
        return latents.shape[-1] * half, latents.shape[-2] * half

    def bring(self, image: Tensor, size: Size) -> Tensor:
        return image if size == (image.shape[-1], image.shape[-2]) else resize(image, size)

    def encode(self, pixels: Tensor) -> Tensor:
        return encode_frame(self.vae, pixels)

    def pack(self, latents: Tensor) -> Tensor:
        return family.pack(latents[:, :, 0])

    def unpack(self, tokens: Tensor, like: Tensor) -> Tensor:
        return family.unpack(tokens, *like.shape[-2:]).unsqueeze(2)

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        latents = (target, *pictures)
        shapes = [(1, one.shape[-2] // 2, one.shape[-1] // 2) for one in latents]
        output: Tensor = model(
            hidden_states=torch.cat([self.pack(one) for one in latents], dim=1),
            timestep=torch.full((1,), sigma, dtype=target.dtype, device=target.device),
            guidance=None,
            encoder_hidden_states=text.tokens,
            encoder_hidden_states_mask=None,  # nothing is padded
            img_shapes=[shapes],
            return_dict=False,
        )[0]
        return output


def encode_frame(vae: Any, pixels: Tensor) -> Tensor:
    """Normalised latents of a picture by an autoencoder of videos: the mode, for one frame.

    The parts are called one by one: `encode` of the autoencoder keeps what it has seen in itself,
    which several threads cannot share. Where the gradient passes, each block is run again.
    """
    encoder = vae.encoder
    hidden = encoder.conv_in((2 * pixels - 1).to(vae.dtype).unsqueeze(2))
    for block in (*encoder.down_blocks, encoder.mid_block):
        hidden = (
            family.run_again(block, hidden) if encoder.gradient_checkpointing else block(hidden)
        )
    hidden = encoder.conv_out(encoder.nonlinearity(encoder.norm_out(hidden)))
    mode = vae.quant_conv(hidden)[:, : vae.config.z_dim]
    mean, deviation = (
        mode.new_tensor(values).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    latents: Tensor = (mode - mean) / deviation
    return latents


def working_size(width: int, height: int, side: int) -> Size:
    """Size of about `side` squared at a picture's aspect ratio, both sides the nearest multiples.

    Source: `calculate_dimensions` of the ordinary pipeline.
    """
    wide = math.sqrt(side**2 * (width / height))
    high = wide / (width / height)
    found = [max(round(length / MULTIPLE), 1) * MULTIPLE for length in (wide, high)]
    return found[0], found[1]
