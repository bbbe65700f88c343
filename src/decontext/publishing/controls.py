"""What a protected photo is compared with, so that no measurement flatters it.

Between photo and verification on the way of the data. The original with noise as strong as the
usual change says what strength alone does; the original blurred like the photo says what loss of
detail alone does; and a photo that shows something else is no version of the original at all.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from decontext.notation import LEVELS
from decontext.photo.levels import strips
from decontext.publishing.transforms import parse_transform

MOST_OF_THE_VALUES = 0.99
LEAST_LIKENESS, USUAL_BUDGET = 0.4, 64
"""Photos whose outlines agree less, and that differ by more levels, are two different pictures."""

_OUTLINE_SIDE, _BLUR_CROP = 64, 1024
_BLURS = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)


def usual_change(before: Tensor, after: Tensor) -> int:
    """The smallest number of levels that most of the colour values changed by at most."""
    counts = torch.zeros(LEVELS + 1, dtype=torch.int64, device=before.device)
    for rows in strips(before):
        difference = after[..., rows, :] - before[..., rows, :]
        changes = difference.mul_(LEVELS).round_().abs_().to(torch.uint8).flatten()
        counts += torch.bincount(changes, minlength=LEVELS + 1)
    return int((counts.cumsum(0) < MOST_OF_THE_VALUES * before.numel()).sum())


def with_noise(picture: Tensor, strength: int, seed: int) -> Tensor:
    """The picture with every colour value changed by `strength` levels, up or down at random."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, picture.shape, generator=generator, dtype=torch.float32)
    return signs.mul_(2).sub_(1).mul_(strength / LEVELS).add_(picture).clamp_(0, 1)


def show_the_same(before: Tensor, after: Tensor) -> bool:
    """Whether one photo is a version of the other, both `(1, 3, height, width)`.

    It is where it differs by no more than a budget, or where the outlines agree: their correlation
    in copies of 64 pixels. Ten rendered people in one pose reach 0.34 at most with each other;
    random changes of 32 levels leave 0.64 and more of their pictures.
    """
    if usual_change(before, after) <= USUAL_BUDGET:
        return True
    first, second = _outlines(before), _outlines(after)
    return float(first @ second) >= LEAST_LIKENESS * float(first.norm() * second.norm())


def find_blur(before: Tensor, after: Tensor) -> float:
    """By how many pixels the original must be blurred to look like the other photo; mostly 0.

    Only where that explains more than half of the squared difference. Large photos are compared in
    their middle.
    """
    height, width = before.shape[-2:]
    top, left = max(0, (height - _BLUR_CROP) // 2), max(0, (width - _BLUR_CROP) // 2)
    first, second = (
        picture[..., top : top + _BLUR_CROP, left : left + _BLUR_CROP]
        for picture in (before, after)
    )
    errors = {
        sigma: float((parse_transform(f"blur-{sigma}")(first) - second).square().mean())
        for sigma in _BLURS
    }
    best = min(errors, key=lambda sigma: errors[sigma])
    return best if errors[best] < 0.5 * float((first - second).square().mean()) else 0.0


def _outlines(picture: Tensor) -> Tensor:
    """Differences of neighbouring pixels in a copy of 64 pixels, as one vector without its mean."""
    factor = min(1.0, _OUTLINE_SIDE / max(picture.shape[-2:]))
    size = [max(8, round(side * factor)) for side in picture.shape[-2:]]
    small = functional.interpolate(picture, size=size, mode="area")
    steps = torch.cat([small.diff(dim=-1).flatten(), small.diff(dim=-2).flatten()])
    return steps - steps.mean()
