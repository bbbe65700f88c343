"""A budget that follows texture: more where a photo is busy, less on skin and sky. VETO's way.

There to compare with: it lowers a flat budget in places, and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from decontext.visibility.distance import LUMA, blur

_SPREAD = 1.5
_WINDOW = 15


def texture_budget(photo: Tensor) -> Tensor:
    """Which part of the budget each place of a photo may use, `(1, 1, height, width)` in [0, 1].

    Fine detail of the brightness, its root mean square in a window, brought to [0, 1] over the
    photo, as a part of its mean. A photo without any detail may use the whole budget everywhere.

    Args:
        photo: `(1, 3, height, width)` in [0, 1].
    Source: VETO, arXiv 2607.27292, its texture map; the arithmetic is ours.
    """
    luma = torch.einsum("i,bihw->bhw", photo.new_tensor(LUMA), photo)[:, None]
    detail = (luma - blur(luma, _SPREAD)).square()
    padded = functional.pad(detail, (_WINDOW // 2,) * 4, mode="replicate")
    energy = functional.avg_pool2d(padded, _WINDOW, stride=1).clamp(min=0).sqrt()
    low, high = energy.amin(), energy.amax()
    if high - low < 1e-6:
        return torch.ones_like(energy)
    texture = (energy - low) / (high - low)
    return (texture / texture.mean()).clamp(0, 1)
