"""How much the protected photo differs from the original, to an eye and to a ruler."""

from dataclasses import dataclass

from torch import Tensor

from decontext.errors import InputError
from decontext.images import levels, psnr, to_array


@dataclass(frozen=True)
class Fidelity:
    """Differences between two pictures.

    Attributes:
        levels: largest difference of one channel in 8-bit levels, 0..255.
        psnr: peak signal-to-noise ratio in dB; infinite for equal pictures.
        ssim: structural similarity, 1 for equal pictures.
    """

    levels: int
    psnr: float
    ssim: float


def compare(original: Tensor, protected: Tensor) -> Fidelity:
    """All measures at once of two pictures `(1, 3, height, width)` in [0, 1].

    Raises:
        InputError: the sizes differ, or the extra `eval` is not installed.
    """
    return Fidelity(
        levels=levels(original, protected),
        psnr=psnr(original, protected),
        ssim=ssim(original, protected),
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
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(value)
