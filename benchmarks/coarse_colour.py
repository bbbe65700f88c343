"""How much the colour of a photo changed where it is looked at from afar: blotches on skin.

SSIMULACRA2 lets coarse colour pass, and people do not. This looks at nothing else.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from decontext.visibility.distance import TO_YCC, blend_bands
from decontext.visibility.skin import skin_like

PART = 64
"""Of the longer side: standard deviation of the Gaussian before the comparison."""

PERCENTILE, LEAST_SKIN = 95, 0.5


def coarse_colour(original: Tensor, protected: Tensor) -> dict[str, float | None]:
    """CIEDE2000 of both after a Gaussian, 95th percentile: of the photo, and of skin, if any."""
    sigma = max(original.shape[-2:]) / PART
    pictures = [_smooth_lab(picture, sigma) for picture in (original, protected)]
    difference = deltaE_ciede2000(*pictures)
    scale = blend_bands(original, torch.tensor(TO_YCC) * 255, 0)
    skin = skin_like(scale)[0, 0].numpy() > LEAST_SKIN
    on_skin = float(np.percentile(difference[skin], PERCENTILE)) if skin.any() else None
    return {"photo": float(np.percentile(difference, PERCENTILE)), "skin": on_skin}


def _smooth_lab(picture: Tensor, sigma: float) -> np.ndarray:
    lab = rgb2lab(picture[0].permute(1, 2, 0).double().numpy())
    return np.stack([gaussian_filter(lab[..., index], sigma) for index in range(3)], axis=-1)
