"""How Step1X-Edit goes from noise to a picture: its noise levels and its guidance.

The program that everyone edits with does this; protecting a photo needs neither.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from decontext.editors.flux.family import pack, unpack

RESCALED_ABOVE, RESCALING_POWER = 0.93, 0.4
"""Noise level above which the guidance is tamed, and the power of its length that does so."""

SHIFT_AT = ((256, 0.5), (4096, 1.15))
"""FLUX's dynamic shift: between these numbers of target tokens it grows along a line."""


def schedule(steps: int, target_tokens: int) -> list[float]:
    """Noise levels from 1 to 0, one more than there are steps.

    Source: FLUX's dynamic shift, exponential in the number of target tokens.
    """
    (few, low), (many, high) = SHIFT_AT
    shift = math.exp(low + (high - low) * (target_tokens - few) / (many - few))
    even = torch.linspace(1, 0, steps + 1)
    levels: list[float] = (shift / (shift + (1 / even - 1))).tolist()
    return levels


def guide(
    conditional: Tensor,
    unconditional: Tensor,
    *,
    sigma: float,
    guidance: float,
    above: float = RESCALED_ABOVE,
) -> Tensor:
    """Guided velocity from those with and without the instruction, `(1, channels, h, w)`.

    At noise levels above `above`, a token's difference that is longer than 1 is divided by its
    length to the power of 0.4. A token is two by two latents.

    Source: Step1X-Edit's own sampling.
    """
    difference = conditional - unconditional
    if sigma > above:
        tokens = pack(difference)
        length = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
        tamed = tokens / length.clamp(min=1) ** RESCALING_POWER
        difference = unpack(tamed, *difference.shape[-2:])
    return unconditional + guidance * difference
