"""Controls: noise of the whole budget that nothing was optimised for."""

import torch
from torch import Tensor

from decontext.settings import LEVELS


def control_noise(
    name: str, photo: Tensor, *, epsilon: float, generator: torch.Generator, grey: bool = False
) -> Tensor:
    """The photo with noise of the whole budget that nothing was optimised for.

    "random-sign": every colour value changed by as many whole levels as the budget holds, up or
    down; "uniform": by anything within it. `grey` changes the channels alike. In [0, 1].
    """
    shape = (*photo[:, :1].shape,) if grey else photo.shape
    if name == "random-sign":
        signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.float32)
        noise = signs.mul_(2).sub_(1).mul_(int(epsilon * LEVELS + 1e-6) / LEVELS)
    else:
        noise = torch.empty(shape).uniform_(-epsilon, epsilon, generator=generator)
    return (photo + noise.to(photo.device)).clamp_(0, 1)
