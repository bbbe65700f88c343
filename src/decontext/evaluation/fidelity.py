"""How much the protected photo differs from the original, to an eye and to a ruler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from decontext.errors import InputError
from decontext.photo.images import levels, psnr, to_array
from decontext.visibility.jod import jod
from decontext.visibility.scores import ssimulacra2

PATCH = 64
"""Pixels: side of the patches of which the worst is reported."""

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _WINDOW_SPREAD = 11, 1.5
_LPIPS_BACKBONE = "alexnet-owt-7be5be79.pth"


@dataclass(frozen=True)
class Fidelity:
    """Differences between two pictures.

    Attributes:
        levels: largest difference of one channel in 8-bit levels, 0..255.
        psnr: peak signal-to-noise ratio in dB; infinite for equal pictures.
        ssim: structural similarity, 1 for equal pictures.
        ms_ssim: the same over several scales.
        worst_patch: lowest PSNR in dB of any patch of 64 x 64 pixels: where an eye would look.
        lpips: learned perceptual distance, 0 for equal pictures; None where it is not installed.
        ssimulacra2: how visible the change is, 100 for equal pictures, see `visibility.scores`;
            None where its package is not installed.
        jod: the same by ColorVideoVDP, 10 for equal pictures; None where it is not installed.
    """

    levels: int
    psnr: float
    ssim: float
    ms_ssim: float
    worst_patch: float
    lpips: float | None
    ssimulacra2: float | None
    jod: float | None


def compare(original: Tensor, protected: Tensor) -> Fidelity:
    """All measures at once of two pictures `(1, 3, height, width)` in [0, 1].

    Raises:
        InputError: the sizes differ, or the extra `eval` is not installed.
    """
    return Fidelity(
        levels=levels(original, protected),
        psnr=psnr(original, protected),
        ssim=ssim(original, protected),
        ms_ssim=ms_ssim(original, protected),
        worst_patch=worst_patch(original, protected),
        lpips=lpips(original, protected),
        ssimulacra2=ssimulacra2(original, protected),
        jod=jod(original, protected),
    )


def ssim(original: Tensor, protected: Tensor) -> float:
    """Structural similarity of two pictures of one size, on their 8-bit levels, up to 1.

    Windows are Gaussian with a standard deviation of 1.5 pixels, as in the paper.

    Raises:
        InputError: the extra `eval` is not installed.
    Source: Wang et al. 2004, Image quality assessment, eq. 13.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError:
        raise InputError(
            "structural similarity needs scikit-image, which is not installed.",
            "Run: pip install 'decontext[eval]'",
        ) from None
    value = structural_similarity(  # type: ignore[no-untyped-call, unused-ignore]
        to_array(original),
        to_array(protected),
        channel_axis=2,
        gaussian_weights=True,
        sigma=_WINDOW_SPREAD,
        use_sample_covariance=False,
    )
    return float(value)


@torch.no_grad()
def ms_ssim(original: Tensor, protected: Tensor) -> float:
    """Structural similarity over up to five scales, each half of the one before, up to 1.

    Five scales need sides of 176 pixels; smaller pictures get as many as the window of 11 pixels
    fits into, with the weights of these scales made to sum to 1.

    Source: Wang et al. 2003, Multi-scale structural similarity, eq. 7.
    """
    first, second = original.float(), protected.float()
    shortest = min(first.shape[-2:])
    count = max(1, min(len(_SCALE_WEIGHTS), int(math.log2(max(shortest / _WINDOW, 1))) + 1))
    weights = [weight / sum(_SCALE_WEIGHTS[:count]) for weight in _SCALE_WEIGHTS[:count]]
    product = torch.ones(())
    for scale, weight in enumerate(weights):
        luminance, contrast = _ssim_maps(first, second)
        last = scale == count - 1
        value = (luminance * contrast if last else contrast).mean(dim=(-1, -2)).clamp(min=0)
        product = product * value.mean() ** weight
        if not last:
            first, second = (functional.avg_pool2d(picture, 2) for picture in (first, second))
    return float(product)


def worst_patch(original: Tensor, protected: Tensor) -> float:
    """Lowest PSNR in dB of a patch of 64 x 64 pixels; patches overlap by half.

    Pictures smaller than a patch are one patch.
    """
    errors = (original - protected).square().mean(dim=1, keepdim=True)
    sides = [min(PATCH, side) for side in errors.shape[-2:]]
    means = functional.avg_pool2d(errors, sides, stride=[max(1, side // 2) for side in sides])
    largest = float(means.max())
    return -10 * math.log10(largest) if largest > 0 else math.inf


@torch.no_grad()
def lpips(original: Tensor, protected: Tensor) -> float | None:
    """Learned perceptual distance, with AlexNet; None where package or weights are missing.

    Nothing is downloaded: it needs the package lpips, and AlexNet's weights in torch's hub folder.

    Source: Zhang et al. 2018, arXiv 1801.03924.
    """
    network = _load_lpips()
    if network is None:
        return None
    return float(network(original.float() * 2 - 1, protected.float() * 2 - 1))


@cache
def _load_lpips() -> Any:
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS_BACKBONE
    if find_spec("lpips") is None or not weights.is_file():
        return None
    import lpips as package

    return package.LPIPS(net="alex", verbose=False).eval()


def _ssim_maps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure at every place that the window fits."""
    places = torch.arange(_WINDOW) - _WINDOW // 2
    bell = torch.exp(-0.5 * (places / _WINDOW_SPREAD) ** 2)
    bell = bell / bell.sum()
    window = (bell[:, None] * bell)[: first.shape[-2], : first.shape[-1]]
    window = (window / window.sum())[None, None]

    def blur(picture: Tensor) -> Tensor:
        return functional.conv2d(picture.transpose(0, 1), window).transpose(0, 1)

    # Names after Wang et al. 2004, eq. 6 and 13.
    c1, c2 = 0.01**2, 0.03**2
    mu_x, mu_y = blur(first), blur(second)
    var_x, var_y = blur(first * first) - mu_x**2, blur(second * second) - mu_y**2
    covariance = blur(first * second) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)
