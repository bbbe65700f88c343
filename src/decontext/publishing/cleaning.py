"""Cleans a picture of fine structure with bilateral and guided filters, to test protections.

Beside `transforms.py`, which calls it by the name `clean`; it is no part of what the optimiser
sees. Needs the extra `decontext[eval]`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.images import to_array

BILATERAL_PASSES, BILATERAL_DIAMETER, BILATERAL_SIGMA = 64, 5, 8.0
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
    try:
        import cv2
    except ImportError:
        raise InputError(
            "cleaning needs opencv-python-headless, which is not installed.",
            "Run: pip install 'decontext[eval]'",
        ) from None
    before = to_array(image).astype(np.float32)
    after: NDArray[Any] = before
    for _ in range(BILATERAL_PASSES):
        after = cv2.bilateralFilter(after, BILATERAL_DIAMETER, BILATERAL_SIGMA, BILATERAL_SIGMA)
    for _ in range(GUIDED_PASSES):
        after = _guide(cv2, before, after)
    levels = np.ascontiguousarray(after.round().clip(0, 255).transpose(2, 0, 1))
    return torch.from_numpy(levels)[None].div_(255).to(image.device)


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
