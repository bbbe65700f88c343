"""Resize a picture as the editors' pipelines do it (Pillow), with a gradient to every pixel.

Between the photo at its own size and the editor's working size. The perturbation lives on the
photo; the optimiser sees it through this resize, so what is published keeps its dimensions.

Differs from `torch.nn.functional.interpolate`: that has no Lanczos kernel, and its antialiased
bicubic does not follow Pillow's rules at the borders.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import PIL
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from decontext.errors import InputError

Kernel = Literal["lanczos", "bicubic", "bilinear"]

_CHUNK = 16
"""Output lines computed by one matrix product: few wasted multiplications, few calls."""

_HALF_LEVEL = 0.5 / 255
_PILLOW_MAJOR = int(PIL.__version__.split(".")[0])


def resize(
    image: Tensor, size: tuple[int, int], *, kernel: Kernel = "lanczos", clamp: bool = True
) -> Tensor:
    """Resize with antialiasing; equal to Pillow's result on 8-bit pictures to one level.

    Args:
        image: `(N, C, height, width)`, float32 or float64, in [0, 1].
        size: `(width, height)` of the result, in Pillow's order.
        kernel: Pillow's kernel of that name.
        clamp: keep both passes in [0, 1], as Pillow's 8-bit arithmetic does. The gradient passes
            where a value is inside, give or take half a level: rounding errors must not cut off
            a plain white wall.

    Returns:
        `(N, C, size[1], size[0])` in the image's dtype, differentiable in `image`.

    Raises:
        InputError: a size below 1, an unknown kernel, or a picture of another form.
    """
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"the size to resize to is {width} x {height}; both must be at least 1.")
    if kernel not in _KERNELS:
        raise InputError(f"no kernel named {kernel!r}; available: {', '.join(_KERNELS)}.")
    if image.ndim != 4 or image.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"the picture is {image.dtype} of shape {tuple(image.shape)}; "
            "it must be float32 or float64 of shape (N, C, height, width)."
        )
    passes = ((-1, width), (-2, height))
    if _takes_height_first(image.shape[-1] - width, image.shape[-2] - height):
        passes = ((-2, height), (-1, width))
    for axis, wanted in passes:
        if image.shape[axis] != wanted:
            image = _Resample.apply(image, wanted, kernel, axis)  # type: ignore[no-untyped-call]
            image = _Clamp.apply(image) if clamp else image  # type: ignore[no-untyped-call]
    return image


def _takes_height_first(columns_lost: int, rows_lost: int) -> bool:
    """Whether Pillow resizes the height first; both passes round and clip, so the order shows.

    Pillow before 13 always begins with the width. Pillow 13 begins with the height when that
    shrinks by more than twice as many pixels as the width (found by trying all small sizes).
    """
    return _PILLOW_MAJOR >= 13 and rows_lost > max(0, 2 * columns_lost)


class _Clamp(torch.autograd.Function):
    """To [0, 1], in place; the gradient passes up to half a level outside.

    Keeps one byte a value for that, and nothing where all of them are inside. On the meta device,
    where nothing has a value, it keeps them.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        nearby = (image >= -_HALF_LEVEL).logical_and_(image <= 1 + _HALF_LEVEL)
        ctx.nearby = None if not image.is_meta and bool(nearby.all()) else nearby
        ctx.mark_dirty(image)
        return image.clamp_(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient if ctx.nearby is None else gradient * ctx.nearby


@dataclass(frozen=True)
class _Band:
    """Weights `(stop - start, last - first)`: input lines first..last to outputs start..stop."""

    start: int
    stop: int
    first: int
    last: int
    weights: Tensor


class _Resample(torch.autograd.Function):
    """One direction: a banded matrix product, and its transpose as the gradient.

    An own function because autograd would fill one zero picture per band in the backward pass, and
    keep the photo; this keeps nothing, as the operation is linear.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, wanted: int, kernel: str, axis: int) -> Tensor:
        ctx.shape, ctx.kernel, ctx.axis = image.shape, kernel, axis
        shape = list(image.shape)
        shape[axis] = wanted
        result = image.new_empty(shape)
        with _in_full_precision(image.device):
            for band in _bands(image.shape[axis], wanted, kernel, image.dtype, image.device):
                lines = image.narrow(axis, band.first, band.last - band.first)
                result.narrow(axis, band.start, band.stop - band.start).copy_(
                    _multiply(band.weights, lines, axis)
                )
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        axis, wanted = ctx.axis, gradient.shape[ctx.axis]
        result = gradient.new_zeros(ctx.shape)
        with _in_full_precision(gradient.device):
            for band in _bands(
                ctx.shape[axis], wanted, ctx.kernel, gradient.dtype, gradient.device
            ):
                lines = gradient.narrow(axis, band.start, band.stop - band.start)
                result.narrow(axis, band.first, band.last - band.first).add_(
                    _multiply(band.weights.T, lines, axis)
                )
        return result, None, None, None


def _in_full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """No automatic casts; the meta device knows none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _multiply(weights: Tensor, lines: Tensor, axis: int) -> Tensor:
    """Apply `(outputs, inputs)` weights along rows (-2) or columns (-1) of a picture."""
    return weights @ lines if axis == -2 else lines @ weights.T


@lru_cache(maxsize=64)
def _bands(
    length: int, wanted: int, kernel: str, dtype: torch.dtype, device: torch.device
) -> tuple[_Band, ...]:
    """Weights of one direction for one dtype and device, computed in float64."""
    return tuple(
        _Band(start, stop, first, last, weights.to(device, dtype))
        for start, stop, first, last, weights in _compute_bands(length, wanted, kernel)
    )


def _compute_bands(
    length: int, wanted: int, kernel: str
) -> Iterator[tuple[int, int, int, int, Tensor]]:
    """Pillow's rules: the kernel is stretched by the ratio when shrinking, never when growing.

    A window runs over the input lines whose distance from the centre, rounded, is within the
    support, is cut at the picture's border, and its weights are normalised to a sum of 1.
    """
    function, reach = _KERNELS[kernel]
    ratio = length / wanted
    stretch = max(ratio, 1.0)
    centres = (torch.arange(wanted, dtype=torch.float64) + 0.5) * ratio
    firsts = (centres - reach * stretch + 0.5).to(torch.int64).clamp(min=0)
    lasts = (centres + reach * stretch + 0.5).to(torch.int64).clamp(max=length)
    for start in range(0, wanted, _CHUNK):
        stop = min(start + _CHUNK, wanted)
        first, last = int(firsts[start]), int(lasts[stop - 1])
        lines = torch.arange(first, last)
        inside = (lines >= firsts[start:stop, None]) & (lines < lasts[start:stop, None])
        distances = (lines + 0.5 - centres[start:stop, None]) / stretch
        weights = function(distances) * inside
        yield start, stop, first, last, weights / weights.sum(1, keepdim=True)


def _lanczos(x: Tensor) -> Tensor:
    return torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)


def _bicubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution with a = -1/2."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


_KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "lanczos": (_lanczos, 3),
    "bicubic": (_bicubic, 2),
    "bilinear": (_bilinear, 1),
}
"""Each kernel with its reach in lines."""
