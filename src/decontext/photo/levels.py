"""Pictures as the 8-bit levels that a file holds: rounding inside the budget, and differences.

Everything here goes through a photo strip by strip: a picture of 48 megapixels takes 576 MB, and
none of these functions holds more of it than it returns.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decontext.errors import InputError

_STRIP = 1_000_000
"""Values in a strip: 4 MB as float32, which also fits into a processor's cache."""


def to_array(image: Tensor) -> NDArray[np.uint8]:
    """A picture `(1, 3, height, width)` in [0, 1] as `(height, width, 3)` levels, rounded."""
    picture = image.detach()[0]
    result = np.empty((*picture.shape[1:], len(picture)), np.uint8)
    for rows in strips(picture):
        result[rows] = _round(picture[:, rows]).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return result


def quantise(image: Tensor, original: Tensor, epsilon: float) -> Tensor:
    """Round to 8-bit levels, never further from the original than the budget allows.

    Args:
        image: picture in [0, 1], any shape.
        original: the photo before, of the same shape, multiples of 1/255.
        epsilon: budget as a fraction of the full range; whole levels within it count.

    Returns:
        The nearest multiples of 1/255 within the budget and within [0, 1], float32.

    Differs from the original code: that truncates, which darkens by half a level and can leave the
    budget by one.
    """
    budget = int(epsilon * 255 + 1e-6)
    image, original = image.detach(), original.detach()
    result = torch.empty(image.shape, dtype=torch.float32, device=image.device)
    for rows in strips(image):
        before = (original[..., rows, :].float() * 255).round_()
        after = (image[..., rows, :].float() * 255).round_()
        lowest, highest = (before - budget).clamp_(min=0), before.add_(budget).clamp_(max=255)
        result[..., rows, :] = after.clamp_(lowest, highest).div_(255)
    return result


def levels(original: Tensor, protected: Tensor) -> int:
    """Largest difference between two pictures in 8-bit levels, 0..255.

    Raises:
        InputError: the pictures differ in size.
    """
    if original.shape != protected.shape:
        raise InputError(
            f"the pictures are {describe_size(original)} and {describe_size(protected)}; "
            "they must have the same size."
        )
    largest = 0
    for rows in strips(original):
        difference = (original[..., rows, :] * 255).round_()
        difference -= (protected[..., rows, :] * 255).round_()
        largest = max(largest, int(difference.abs_().max()))
    return largest


def psnr(original: Tensor, protected: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]; infinite when they are equal."""
    total = 0.0
    for rows in strips(original):
        difference = original[..., rows, :] - protected[..., rows, :]
        total += torch.sum(difference**2, dtype=torch.float64).item()
    return -10 * math.log10(total / original.numel()) if total > 0 else math.inf


def strips(image: Tensor | NDArray[Any]) -> Iterator[slice]:
    """The rows of a picture (its last axis but one), some at a time."""
    height = image.shape[-2]
    step = max(1, _STRIP * height // max(1, math.prod(image.shape)))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def describe_size(image: Tensor) -> str:
    """Width and height as people write them."""
    return f"{image.shape[-1]} x {image.shape[-2]}"


def _round(image: Tensor) -> Tensor:
    """Levels 0..255 of a picture in [0, 1]."""
    return (image.float() * 255).round_().clamp_(0, 255)
