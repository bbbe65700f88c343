"""Cleans a picture of fine structure, to test protections: filters, and non-local means.

Beside `transforms.py`, which calls these by the names `clean` and `denoise`; they are no part of
what the optimiser sees. Both need the extra `decontext[eval]`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.images import to_array

BILATERAL_PASSES, BILATERAL_DIAMETER, BILATERAL_SIGMA = 64, 5, 8.0
MEANS_STRENGTH, MEANS_PATCH, MEANS_REACH = 10, 7, 21  # levels, pixels, pixels
GUIDED_PASSES, GUIDED_RADIUS, GUIDED_VARIANCE = 4, 4, 16.0


def clean(image: Tensor) -> Tensor:
    """The picture without fine structure, `(1, 3, height, width)` on 8-bit levels.

    Many gentle bilateral filters take fine structure away, and guided filters give edges back
    from the picture before. Distances and variances are in 8-bit levels.

    Raises:
        InputError: the extra `eval` is not installed.
    Source: the filters and their strengths are those of L. Zhang's AdverseCleaner (2023).
    Differs from it: the guided filter looks at one channel at a time.
    """
    cv2 = _opencv()
    before = to_array(image).astype(np.float32)
    after: NDArray[Any] = before
    for _ in range(BILATERAL_PASSES):
        after = cv2.bilateralFilter(after, BILATERAL_DIAMETER, BILATERAL_SIGMA, BILATERAL_SIGMA)
    for _ in range(GUIDED_PASSES):
        after = _guide(cv2, before, after)
    return _from_array(after.round().clip(0, 255), image)


def denoise(image: Tensor) -> Tensor:
    """The picture as a denoiser leaves it, `(1, 3, height, width)` on 8-bit levels.

    Each small patch becomes the mean of those around that look like it, so that structure which
    does not recur goes.

    Raises:
        InputError: the extra `eval` is not installed.
    Source: OpenCV's `fastNlMeansDenoisingColored`, with the strength of its tutorial.
    """
    cv2 = _opencv()
    blue_first = np.ascontiguousarray(to_array(image)[..., ::-1])
    cleaned = cv2.fastNlMeansDenoisingColored(
        blue_first, None, MEANS_STRENGTH, MEANS_STRENGTH, MEANS_PATCH, MEANS_REACH
    )
    return _from_array(cleaned[..., ::-1], image)


def _opencv() -> Any:
    """Raises: InputError: it is not installed."""
    try:
        import cv2
    except ImportError:
        raise InputError(
            "cleaning needs opencv-python-headless, which is not installed.",
            "Run: pip install 'decontext[eval]'",
        ) from None
    return cv2


def _from_array(levels: NDArray[Any], like: Tensor) -> Tensor:
    planes = np.ascontiguousarray(levels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes)[None].div_(255).to(like.device)


def _guide(cv2: Any, guide: NDArray[np.float32], picture: NDArray[np.float32]) -> NDArray[Any]:
    """In each window the picture becomes a line `a * guide + b`. Source: He et al. 2013, eq. 5."""

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        side = 2 * GUIDED_RADIUS + 1
        smoothed: NDArray[np.float32] = cv2.boxFilter(values, -1, (side, side))
        return smoothed

    mean_guide, mean_picture = mean(guide), mean(picture)
    variance = mean(guide * guide) - mean_guide**2
    a = (mean(guide * picture) - mean_guide * mean_picture) / (variance + GUIDED_VARIANCE)
    return mean(a) * guide + mean(mean_picture - a * mean_guide)
