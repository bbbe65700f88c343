"""How FLUX.2 is wired: from pixels to tokens and through its transformer.

The autoencoder's latents are cut into patches of two by two and normalised by the statistics that
its batch norm carries; a token is one position of that. Latents here are `(1, 128, height / 16,
width / 16)`. A position has four axes: picture, row, column, place in the text. The picture being
made is 0, the k-th picture that is given is 10 k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from decontext.editors.flux import family
from decontext.editors.joint.engine import Size, Text, text_first
from decontext.editors.weights.plan import FLUX_ENCODER
from decontext.photo.resampling import resize

PICTURE_STEP = 10
"""Between two pictures on the first position axis."""

LARGEST_AREA = 1024 * 1024
"""Pixels; a larger photo is reduced to that."""


class Flux2Wiring:
    """See `joint.engine.Wiring`."""

    encoder = FLUX_ENCODER
    lay_out = staticmethod(text_first)

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.multiple = family.token_side(vae)

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        width, height = (side // self.multiple for side in size)
        shape = (1, self.vae.bn.num_features, height, width)
        return torch.randn(shape, generator=generator, device=generator.device)

    def size_of(self, latents: Tensor) -> Size:
        return latents.shape[-1] * self.multiple, latents.shape[-2] * self.multiple

    def bring(self, image: Tensor, size: Size) -> Tensor:
        inner = resized(image.shape[-1], image.shape[-2], size, self.multiple)
        if inner != (image.shape[-1], image.shape[-2]):
            image = resize(image, inner)
        left, top = (inner[0] - size[0]) // 2, (inner[1] - size[1]) // 2
        return image[..., top : top + size[1], left : left + size[0]]

    def encode(self, pixels: Tensor) -> Tensor:
        mode: Tensor = self.vae.encode((2 * pixels - 1).to(self.vae.dtype)).latent_dist.mode()
        batch, channels, height, width = mode.shape
        patches = mode.reshape(batch, channels, height // 2, 2, width // 2, 2)
        latents = patches.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
        norm = self.vae.bn
        mean, variance = (
            statistic.view(1, -1, 1, 1) for statistic in (norm.running_mean, norm.running_var)
        )
        deviation = torch.sqrt(variance + self.vae.config.batch_norm_eps)
        normalised: Tensor = (latents - mean.to(latents.dtype)) / deviation.to(latents.dtype)
        return normalised

    def pack(self, latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    def unpack(self, tokens: Tensor, like: Tensor) -> Tensor:
        return tokens.transpose(1, 2).reshape(len(tokens), -1, *like.shape[-2:])

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        device = target.device
        guidance = None
        if text.guidance is not None and model.config.guidance_embeds:
            guidance = torch.full((1,), text.guidance, device=device)
        sizes = tuple((latents.shape[-2], latents.shape[-1]) for latents in (target, *pictures))
        output: Tensor = model(
            hidden_states=torch.cat([self.pack(latents) for latents in (target, *pictures)], dim=1),
            timestep=torch.full((1,), sigma, dtype=target.dtype, device=device),
            guidance=guidance,
            encoder_hidden_states=text.tokens,
            txt_ids=text_ids(text.tokens.shape[1], device),
            img_ids=picture_ids(sizes, device),
            return_dict=False,
        )[0]
        return output


def working_size(width: int, height: int, side: int | None, multiple: int) -> Size:
    """Size at which FLUX.2 sees a photo: reduced to a megapixel where larger, and its edges cut.

    With a `side`, of about that squared in area. Both are multiples of `multiple`.
    """
    if side is not None or width * height > LARGEST_AREA:
        area = LARGEST_AREA if side is None else side**2
        scale = math.sqrt(area / (width * height))
        width, height = int(width * scale), int(height * scale)
    wide, high = (max(length // multiple, 1) * multiple for length in (width, height))
    return wide, high


def resized(width: int, height: int, size: Size, multiple: int) -> Size:
    """Size to which a photo is brought before its edges are cut to a working size."""
    if size == working_size(width, height, None, multiple):
        if width * height <= LARGEST_AREA and width >= size[0] and height >= size[1]:
            return width, height
        scale = math.sqrt(LARGEST_AREA / (width * height))
    else:
        scale = max(size[0] / width, size[1] / height)
    return max(int(width * scale), size[0]), max(int(height * scale), size[1])


@lru_cache(maxsize=16)
def text_ids(count: int, device: torch.device) -> Tensor:
    """Positions of text tokens, `(count, 4)`: they differ in the last axis alone."""
    return _grid(0, 1, 1, count).to(device)


@lru_cache(maxsize=16)
def picture_ids(sizes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """Positions of the target's tokens and of every picture's, `(tokens, 4)`.

    `sizes` are rows and columns of each.
    """
    grids = [_grid(PICTURE_STEP * number, *size, 1) for number, size in enumerate(sizes)]
    return torch.cat(grids).to(device)


def _grid(picture: int, rows: int, columns: int, places: int) -> Tensor:
    return torch.cartesian_prod(
        torch.tensor([picture]), torch.arange(rows), torch.arange(columns), torch.arange(places)
    )
