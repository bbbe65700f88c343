"""Is an edit a good picture, with nothing to compare it with: how blurred, how noisy.

A protection may show somebody else, or it may merely spoil the picture. These two figures, beside
whether a face is found, tell the two apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from decontext.errors import InputError
from decontext.photo.images import to_array

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Quality:
    """Quality of one picture.

    Attributes:
        blur: 0 (sharp) to 1 (nothing left to blur).
        noise: standard deviation of the fine noise in 8-bit levels.
    """

    blur: float
    noise: float


def assess(image: Tensor) -> Quality:
    """Blur and noise of a picture `(1, 3, height, width)` in [0, 1].

    Raises:
        InputError: the extra `eval` is not installed.
    """
    return Quality(blur=blur(image), noise=noise(image))


def blur(image: Tensor) -> float:
    """How little a picture loses when it is blurred once more, 0 (sharp) to 1.

    Raises:
        InputError: the extra `eval` is not installed.
    Source: Crete et al. 2007, The blur effect: perception and estimation; by scikit-image.
    """
    try:
        from skimage.measure import blur_effect
    except ImportError:
        raise InputError(
            "the measure of blur needs scikit-image, which is not installed.",
            "Run: pip install 'decontext[eval]'",
        ) from None
    return float(blur_effect(to_array(image), channel_axis=2))  # type: ignore[no-untyped-call, unused-ignore]


def noise(image: Tensor) -> float:
    """Standard deviation of the noise in 8-bit levels, from what no edge or slope explains.

    Source: Immerkaer 1996, Fast noise variance estimation.
    """
    grey = (image.float() * torch.tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True) * 255
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    return math.sqrt(math.pi / 2) / 6 * float(functional.conv2d(grey, kernel).abs().mean())
