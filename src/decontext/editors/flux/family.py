"""What editors built on FLUX's transformer and autoencoder have in common.

Packing of latents into tokens, position ids, the way from pixels to latents and back, target
noise, and how a transformer is made ready for the probe. An editor file adds its sizes, its text
side and its forward pass. Latents are `(1, channels, height / 8, width / 8)`, tokens
`(1, height / 16 * width / 16, 4 * channels)`; heights and widths are pixels of the working size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from decontext.attention import checkpointed
from decontext.errors import InputError
from decontext.photo.resampling import Kernel, resize

CHECKPOINT_FROM = 1_000_000_000
"""Transformers of this many parameters and more run under gradient checkpointing."""


def freeze(parts: Iterable[Any]) -> None:
    """No weight gets a gradient, no layer behaves as in training; what is no module stays."""
    for part in parts:
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()


def prepare_transformer(transformer: Any, checkpointing: bool | None) -> bool:
    """Make a diffusers transformer visible to the probe, with or without checkpointing.

    Every block calls torch's own attention, the one that the probe sees. `checkpointing` None
    means: for large transformers. Returns whether it is checkpointed.
    """
    from diffusers.models.attention_dispatch import AttentionBackendName

    for processor in transformer.attn_processors.values():
        processor._attention_backend = AttentionBackendName.NATIVE
    if checkpointing is None:
        count = sum(weight.numel() for weight in transformer.parameters())
        checkpointing = count >= CHECKPOINT_FROM
    if checkpointing:
        transformer.enable_gradient_checkpointing(gradient_checkpointing_func=checkpointed)
    return checkpointing


def scale_factor(vae: Any) -> int:
    """Pixels per latent along a side: 8 for FLUX's autoencoder."""
    return int(2 ** (len(vae.config.block_out_channels) - 1))


def token_side(vae: Any) -> int:
    """Pixels per token along a side, of which a working size is a multiple: 16 for FLUX."""
    return 2 * scale_factor(vae)


def draw_noise(
    size: tuple[int, int], generator: torch.Generator, *, channels: int, multiple: int
) -> Tensor:
    """Pure-noise target latents, float32, for a working size of `(width, height)` pixels.

    `multiple` is what `token_side` returned. Drawn on the generator's device: the same seed gives
    the same noise on every machine.
    """
    width, height = (side // multiple * 2 for side in size)
    shape = (1, channels, height, width)
    return torch.randn(shape, generator=generator, device=generator.device)


def encode_image(
    vae: Any,
    image: Tensor,
    size: tuple[int, int],
    *,
    checkpointing: bool,
    kernel: Kernel = "lanczos",
) -> Tensor:
    """Context latents of a photo at a working size, differentiable in its pixels.

    `image` is `(1, 3, height, width)` in [0, 1] at any size; it is brought to `size`,
    `(width, height)`, like Pillow's `kernel` does it, in float32, where the autoencoder is. With
    `checkpointing` the autoencoder's activations are computed again in the backward pass.
    """
    pixels = image.to(vae.device, torch.float32)
    if size != (pixels.shape[-1], pixels.shape[-2]):
        pixels = resize(pixels, size, kernel=kernel)
    if not (checkpointing and torch.is_grad_enabled()):
        return encode_pixels(vae, pixels)
    latents: Tensor = run_again(encode_pixels, vae, pixels)
    return latents


def run_again(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function without a trace, and once more when the gradient passes through it."""
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def encode_pixels(vae: Any, pixels: Tensor) -> Tensor:
    """The mode of the autoencoder's distribution, in the transformer's units."""
    mode: Tensor = vae.encode((2 * pixels - 1).to(vae.dtype)).latent_dist.mode()
    latents: Tensor = (mode - vae.config.shift_factor) * vae.config.scaling_factor
    return latents


def decode_latents(vae: Any, latents: Tensor) -> Tensor:
    """The picture, float32 `(1, 3, height, width)` in [0, 1], of latents in transformer's units."""
    config = vae.config
    scaled = latents.to(vae.device) / config.scaling_factor + config.shift_factor
    decoded: Tensor = vae.decode(scaled.to(vae.dtype)).sample
    return (decoded.float() / 2 + 0.5).clamp(0, 1)


def pack(latents: Tensor) -> Tensor:
    """Latents to tokens of two by two."""
    batch, channels, height, width = latents.shape
    blocks = latents.reshape(batch, channels, height // 2, 2, width // 2, 2)
    tokens = blocks.permute(0, 2, 4, 1, 3, 5)
    return tokens.reshape(batch, height // 2 * (width // 2), 4 * channels)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`; `height` and `width` are those of the latents."""
    batch, _, channels = tokens.shape
    blocks = tokens.reshape(batch, height // 2, width // 2, channels // 4, 2, 2)
    return blocks.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, height, width)


def position_ids(
    target: Tensor, context: Tensor, *, shift: tuple[int, int, int], like: Tensor
) -> Tensor:
    """Position ids of the tokens of two latents, `(tokens, 3)`, made once for each size.

    A target token at row y and column x of its picture is at (0, y, x); a context token is moved
    by `shift` from that. `like` has the dtype and device wanted.
    """
    sizes = (*target.shape[-2:], *context.shape[-2:])
    return _position_ids(sizes, shift, like.dtype, like.device)


@lru_cache(maxsize=16)
def _position_ids(
    sizes: tuple[int, int, int, int],
    shift: tuple[int, int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    target, context = (
        torch.cartesian_prod(torch.arange(1), torch.arange(rows // 2), torch.arange(columns // 2))
        for rows, columns in (sizes[:2], sizes[2:])
    )
    return torch.cat([target, context + torch.tensor(shift)]).to(device, dtype)


def checked_prompt(text: str) -> str:
    """The instruction itself. Raises: InputError, it is empty."""
    if not text.strip():
        raise InputError("the instruction is empty; it must say what to edit")
    return text


def to_pillow(image: Tensor) -> Image.Image:
    """`(1, 3, height, width)` in [0, 1], rounded to nearest, as a Pillow picture."""
    levels = (image.detach()[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())


def resize_for_edit(image: Tensor, choose: Callable[[int, int], tuple[int, int]]) -> Image.Image:
    """The photo as anyone's edit sees it: 8 bits, and by Pillow at the size that `choose` names."""
    photo = to_pillow(image)
    return photo.resize(choose(*photo.size), Image.Resampling.LANCZOS)


def from_pillow(picture: Image.Image) -> Tensor:
    """The inverse of `to_pillow`, float32."""
    levels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return levels.view(1, picture.height, picture.width, 3).permute(0, 3, 1, 2).float() / 255
