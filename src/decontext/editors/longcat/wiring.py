"""How LongCat-Image-Edit is wired: from pixels to tokens and through its transformer.

Latents are those of FLUX's autoencoder. Of the three position axes the first is 0 for text, 1 for
the picture being made and 2 for the photo; rows and columns of both go on where the text ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.joint.engine import Size, Text, text_first
from decontext.editors.weights.plan import FLUX_ENCODER
from decontext.photo.resampling import resize

TARGET, PHOTO = 1, 2


class LongCatWiring:
    """See `joint.engine.Wiring`."""

    encoder = FLUX_ENCODER
    lay_out = staticmethod(text_first)

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.multiple = family.token_side(vae)

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        channels = self.vae.config.latent_channels
        return family.draw_noise(size, generator, channels=channels, multiple=self.multiple)

    def size_of(self, latents: Tensor) -> Size:
        half = self.multiple // 2
        return latents.shape[-1] * half, latents.shape[-2] * half

    def bring(self, image: Tensor, size: Size) -> Tensor:
        return image if size == (image.shape[-1], image.shape[-2]) else resize(image, size)

    def encode(self, pixels: Tensor) -> Tensor:
        return family.encode_pixels(self.vae, pixels)

    def pack(self, latents: Tensor) -> Tensor:
        return family.pack(latents)

    def unpack(self, tokens: Tensor, like: Tensor) -> Tensor:
        return family.unpack(tokens, *like.shape[-2:])

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        latents, count, device = (target, *pictures), text.tokens.shape[1], target.device
        grids = [
            picture_ids(kind, one.shape[-2] // 2, one.shape[-1] // 2, count, device)
            for kind, one in zip((TARGET, PHOTO), latents, strict=True)
        ]
        output: Tensor = model(
            hidden_states=torch.cat([self.pack(one) for one in latents], dim=1),
            timestep=torch.full((1,), sigma, dtype=target.dtype, device=device),
            guidance=None,
            encoder_hidden_states=text.tokens,
            txt_ids=text_ids(count, device),
            img_ids=torch.cat(grids),
            return_dict=False,
        )[0]
        return output


@lru_cache(maxsize=16)
def text_ids(count: int, device: torch.device) -> Tensor:
    """Positions of text tokens, `(count, 3)`: along the diagonal of rows and columns."""
    places = torch.arange(count, dtype=torch.float32)
    return torch.stack([torch.zeros(count), places, places], dim=1).to(device)


@lru_cache(maxsize=32)
def picture_ids(kind: int, rows: int, columns: int, start: int, device: torch.device) -> Tensor:
    """Positions of a picture's tokens, `(tokens, 3)`, its first at (kind, start, start)."""
    grid = torch.cartesian_prod(
        torch.tensor([kind]), torch.arange(rows) + start, torch.arange(columns) + start
    )
    return grid.to(device, torch.float32)


def working_size(width: int, height: int, side: int, multiple: int = 16) -> Size:
    """Size of about `side` squared at a picture's aspect ratio, both sides the next multiples.

    Source: `calculate_dimensions` of the ordinary pipeline.
    """
    ratio = width / height
    wide = (side**2 * ratio) ** 0.5
    lengths = (wide, wide / ratio)
    found = [
        int(length if length % multiple == 0 else (length // multiple + 1) * multiple)
        for length in lengths
    ]
    return found[0], found[1]
