"""JPEG exactly as Pillow writes and reads it, with a gradient through its coefficients.

On the way of the data it belongs to `transforms.py`: photos are published as JPEG, and the
optimiser has to see what is left of the perturbation. The forward pass is the real encoder and
decoder, so nothing about it is approximated; only the derivative of rounding is.

Differs from kornia's `jpeg_codec_differentiable`: that approximates the forward pass, knows halved
colour resolution only (the photos saved here keep it), wants sides that are multiples of 16, and
keeps some twenty copies of the photo for its backward pass. This keeps none.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from decontext.errors import InputError
from decontext.machine import give_back_memory
from decontext.photo.levels import strips

EXACT_UP_TO = 2048 * 2048
"""Pixels; in larger photos the gradient passes a JPEG as if it were not there, see `compress`."""

_STRIP = 256
"""Lines of the backward pass that are worked on at once: they fit into a processor's cache."""

_BLOCK = 8
_FULL, _HALVED = 0, 2  # Pillow's words for 4:4:4 and 4:2:0

_RGB_TO_YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""Source: JFIF 1.02, page 3."""


def compress(image: Tensor, quality: int, *, full_colour: bool = False) -> Tensor:
    """A picture as it comes back from a JPEG file.

    The result is what Pillow's encoder and decoder make of it. The gradient goes back through
    colour conversion, halved colour and the cosine transform of each block; a coefficient lets it
    through as far as rounding, smoothed over one quantisation step on either side of zero, does:
    not where the file holds a zero and the picture is far from making it anything else.

    In pictures of more than `EXACT_UP_TO` pixels the gradient passes unchanged. Editors shrink
    these several times, so it only holds the lowest few coefficients of each block, which a JPEG
    keeps; going through all of them would cost more than the rest of the step.

    Args:
        image: `(1, 3, height, width)` in [0, 1], rounded to 8-bit levels on the way.
        quality: 1..100, as Pillow and most programs count it.
        full_colour: keep the colour at full resolution (4:4:4) instead of half (4:2:0).

    Returns: a picture of the same form, multiples of 1/255, on the image's device.
    Raises:
        InputError: a quality out of range or more than one picture.
    Source: ITU-T T.81 for the format; straight-through rounding after Bengio et al. 2013.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"the JPEG quality is {quality}; it must be 1 to 100.")
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise InputError(
            f"the picture has the shape {tuple(image.shape)}; it must be (1, 3, height, width)."
        )
    result: Tensor = _Jpeg.apply(image, quality, full_colour)  # type: ignore[no-untyped-call]
    return result


Codec = tuple[int, bool]
"""Quality of a JPEG, and whether it keeps the colour at full resolution."""


def compress_in_turn(image: Tensor, codecs: Sequence[Codec]) -> Tensor:
    """`compress` several times, one after the other.

    Where the gradient passes unchanged anyway, no picture in between is kept.
    """
    if image.shape[-1] * image.shape[-2] > EXACT_UP_TO and len(codecs) > 1:
        result: Tensor = _Through.apply(image, codecs)  # type: ignore[no-untyped-call]
        return result
    for quality, full_colour in codecs:
        image = compress(image, quality, full_colour=full_colour)
    return image


class _Through(torch.autograd.Function):
    """Of large photos: several files in turn, and the gradient as if they were not there."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, codecs: Sequence[Codec]) -> Tensor:
        *others, (quality, full_colour) = codecs
        pixels, _ = _pixels(_write(_write_and_read(image, others), quality, full_colour))
        return pixels.to(image.device, image.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Jpeg(torch.autograd.Function):
    """Forward through Pillow; backward strip by strip from the picture itself."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, quality: int, full_colour: bool) -> Tensor:
        pixels, tables = _pixels(_write(_to_pillow(image), quality, full_colour))
        ctx.large = image.shape[-1] * image.shape[-2] > EXACT_UP_TO
        if not ctx.large:
            ctx.tables = [torch.tensor(tables[min(c, len(tables) - 1)]) for c in (0, 1, 1)]
            ctx.halved = not full_colour
            ctx.save_for_backward(image)
        return pixels.to(image.device, image.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        if ctx.large:
            return gradient, None, None
        (image,) = ctx.saved_tensors
        tables = [table.to(image).view(_BLOCK, 1, _BLOCK) for table in ctx.tables]
        result = torch.empty_like(gradient)
        for top in range(0, image.shape[-2], _STRIP):
            lines = slice(top, top + _STRIP)
            result[:, :, lines] = _pull_back(
                image[:, :, lines], gradient[:, :, lines], tables, ctx.halved
            )
        return result, None, None


def _pull_back(pixels: Tensor, gradient: Tensor, tables: list[Tensor], halved: bool) -> Tensor:
    """The gradient before the JPEG, from the one after it, for whole rows of blocks."""
    height, width = pixels.shape[-2:]
    matrix = _RGB_TO_YCC.to(pixels)
    edges = (0, -width % (2 * _BLOCK), 0, -height % (2 * _BLOCK))
    pixels = functional.pad(pixels, edges, mode="replicate")[0] * 255
    gradient = functional.pad(gradient, edges)[0]
    planes = torch.einsum("ij,jhw->ihw", matrix, pixels)
    planes[0] -= 128
    slopes = torch.einsum("ji,jhw->ihw", torch.linalg.inv(matrix), gradient)
    through = torch.empty_like(slopes)
    for channel, table in enumerate(tables):
        plane, slope = planes[None, channel], slopes[None, channel]
        shrink = halved and channel > 0
        if shrink:
            # Colour is enlarged by repeating it: the gradients of the four pixels add up.
            plane, slope = functional.avg_pool2d(plane, 2), 4 * functional.avg_pool2d(slope, 2)
        slope = _inverse(_cosine(slope) * _passing(_cosine(plane) / table))
        if shrink:
            slope = slope.repeat_interleave(2, -1).repeat_interleave(2, -2) / 4
        through[channel] = slope[0]
    return torch.einsum("ji,jhw->ihw", matrix, through)[None, :, :height, :width]


def _passing(steps: Tensor) -> Tensor:
    """Derivative of rounding, smoothed; `steps` are coefficients in quantisation steps."""
    return (2 * steps.abs()).clamp_(max=1)


def _cosine(plane: Tensor) -> Tensor:
    """Blockwise DCT of `(1, height, width)` as `(1, rows, 8, columns, 8)`."""
    basis, (_, height, width) = _BASIS.to(plane), plane.shape
    rows = basis @ plane.reshape(1, height // _BLOCK, _BLOCK, width)
    return rows.reshape(1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK) @ basis.T


def _inverse(coefficients: Tensor) -> Tensor:
    """Back from `_cosine`."""
    basis = _BASIS.to(coefficients)
    plane: Tensor = (basis.T @ (coefficients @ basis).flatten(-2)).flatten(-3, -2)
    return plane


def _make_basis() -> Tensor:
    """The orthonormal DCT-II of 8 values: rows are frequencies."""
    frequency, place = torch.arange(_BLOCK)[:, None], torch.arange(_BLOCK)[None]
    basis = torch.cos(torch.pi * frequency * (2 * place + 1) / (2 * _BLOCK)) / 2
    basis[0] /= 2**0.5
    return basis


_BASIS = _make_basis()


def _write(picture: Image.Image, quality: int, full_colour: bool) -> bytes:
    """A picture as a file.

    It is read again by a call of its own: a large picture is gone by then, and its memory is used
    again.
    """
    content = io.BytesIO()
    subsampling = _FULL if full_colour else _HALVED
    picture.save(content, "JPEG", quality=quality, subsampling=subsampling)
    return content.getvalue()


def _read(file: bytes) -> JpegImageFile:
    """The picture of a file, decoded."""
    decoded = Image.open(io.BytesIO(file), formats=["JPEG"])
    assert isinstance(decoded, JpegImageFile)
    decoded.load()
    return decoded


def _to_pillow(image: Tensor) -> Image.Image:
    """Plane by plane, which is several times faster than reordering 12 million pixels."""
    planes = []
    for plane in image.detach()[0]:
        levels = torch.empty(plane.shape, dtype=torch.uint8)
        for rows in strips(plane):
            levels[rows] = (plane[rows].float() * 255).round_().clamp_(0, 255)
        planes.append(Image.fromarray(levels.numpy()))
    return Image.merge("RGB", planes)


def _write_and_read(image: Tensor, codecs: Sequence[Codec]) -> Image.Image:
    """A picture as it comes back from these files in turn."""
    picture = _to_pillow(image)
    for quality, full_colour in codecs:
        picture = _read(_write(picture, quality, full_colour))
    return picture


def _pixels(file: bytes) -> tuple[Tensor, Mapping[int, Sequence[int]]]:
    """The pixels of a file and its quantisation tables.

    By way of whole numbers: of a large picture each plane is gone before the next takes memory of
    the result, and Pillow's copy before all of them.
    """
    decoded = _read(file)
    del file  # Nobody else has it, and of a large photo it is as large as a plane.
    tables, (width, height) = decoded.quantization, decoded.size
    planes = [torch.empty((height, width), dtype=torch.uint8) for _ in range(3)]
    for rows in strips(planes[0]):
        part = decoded.crop((0, rows.start, width, rows.stop))
        for plane, levels in zip(planes, part.split(), strict=True):
            plane[rows] = torch.from_numpy(np.array(levels))
    del decoded
    if width * height > EXACT_UP_TO:
        give_back_memory()
    result = torch.empty((1, 3, height, width))
    for target in result[0]:
        plane = planes.pop(0)
        for rows in strips(target):
            target[rows].copy_(plane[rows]).div_(255)
    return result, tables
