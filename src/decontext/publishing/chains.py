"""What a photo goes through when it is published: the chains that a step of the optimiser sees.

Between the named transforms and `protect` on the way of the data. `draw_chain` draws one at a
level of `--robust`, `fixed_chains` are those by which iterates are compared.
"""

from __future__ import annotations

import torch

from decontext.publishing.jpeg import EXACT_UP_TO
from decontext.publishing.transforms import Part, Transform, chain, parse_transform
from decontext.settings import LARGE_PHOTO, RobustLevel

SITE_SIDES = (1080, 2048)
"""Longest side in pixels to which sites reduce large photos, smallest and largest."""


def draw_chain(level: RobustLevel, size: tuple[int, int], generator: torch.Generator) -> Transform:
    """What the optimiser sees a photo of `size` (width, height) through in one step.

    - `off`: nothing. - `jpeg`: nothing or, three times in four, JPEG of quality 50 to 95.
    - `web`: with equal odds nothing; JPEG 60 to 95; reduced to 0.5 to 1, then JPEG; JPEG, then
      reduced; each with even odds after cutting off up to 2 percent, which also shifts it.
    - `strong`: as `web` with JPEG from 30, reduced down to 0.35, up to 8 percent cut off; with
      even odds mirrored, and one time in three each blurred (0.3 to 1.5 pixels) and with noise
      (0.01 to 0.05 of the range).

    Photos of more than 4 megapixels are seen as they are every other time, and the reduction
    is the usual one of sites, to a longest side of 1080 to 2048 pixels: both bound the cost. Those
    of more than 16 are cut off after they were reduced, or not at all, which bounds the memory.
    """
    if level == "off":
        return Transform("none", ())
    large = size[0] * size[1] > EXACT_UP_TO
    if large and draw_number(generator) < 1 / 3:
        return Transform("none", ())
    choice = int(4 * draw_number(generator))
    if level == "jpeg":
        return chain(draw_jpeg(50, generator)) if choice else Transform("none", ())
    lowest, reduced, cut = (60, 0.5, 2.0) if level == "web" else (30, 0.35, 8.0)
    jpeg = draw_jpeg(lowest, generator)
    small = ("small", draw_factor(reduced, size, generator))
    chains: tuple[tuple[Part, ...], ...] = ((), (jpeg,), (small, jpeg), (jpeg, small))
    parts = chains[choice]
    if draw_number(generator) < 0.5:
        parts = _cut(("crop", round(draw_number(generator, 0, cut), 2)), parts, size)
    if level == "strong":
        parts = (*parts, *_draw_extras(generator))
    return chain(*parts)


def fixed_chains(level: RobustLevel, size: tuple[int, int]) -> tuple[Transform, ...]:
    """Four chains in the middle of what `draw_chain` draws, by which iterates are compared."""
    small = usual_factor(size)
    names = {
        "off": ("none", "none", "none", "none"),
        "jpeg": ("none", "jpeg-90", "jpeg-75", "jpeg-60"),
        "web": ("none", "jpeg-75", f"small-{small:.4f}+jpeg-80", f"jpeg-75+small-{small:.4f}"),
        "strong": ("none", "jpeg-50+flip", f"small-{small:.4f}+jpeg-65", "crop-4+blur-0.8"),
    }
    return tuple(parse_transform(name) for name in names[level])


def usual_factor(size: tuple[int, int]) -> float:
    """By what part sites reduce a photo of this size, in the middle of what is drawn."""
    return site_factor(size, sum(SITE_SIDES) / 2) if is_large(size) else 0.7


def draw_number(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    share = torch.rand((), dtype=torch.float64, generator=generator, device=generator.device)
    return low + (high - low) * float(share)


def draw_jpeg(lowest: int, generator: torch.Generator, *, highest: int = 95) -> Part:
    return "jpeg", float(int(draw_number(generator, lowest, highest + 1)))


def draw_factor(
    lowest: float, size: tuple[int, int], generator: torch.Generator, *, highest: float = 1.0
) -> float:
    """By what part a photo is reduced; large ones as sites reduce them."""
    if is_large(size):
        return round(site_factor(size, draw_number(generator, *SITE_SIDES)), 4)
    return round(draw_number(generator, lowest, highest), 3)


def _cut(crop: Part, parts: tuple[Part, ...], size: tuple[int, int]) -> tuple[Part, ...]:
    """The chain with something cut off first; of very large photos as soon as they are small."""
    if size[0] * size[1] <= LARGE_PHOTO:
        return (crop, *parts)
    kinds = [kind for kind, _ in parts]
    after = kinds.index("small") + 1 if "small" in kinds else len(parts)
    return (*parts[:after], crop, *parts[after:]) if "small" in kinds else parts


def _draw_extras(generator: torch.Generator) -> list[Part]:
    """What only the level `strong` adds, after everything else."""
    extras: list[Part] = []
    if draw_number(generator) < 0.5:
        extras.append(("flip", None))
    if draw_number(generator) < 1 / 3:
        extras.append(("blur", round(draw_number(generator, 0.3, 1.5), 2)))
    if draw_number(generator) < 1 / 3:
        extras.append(("noise", round(draw_number(generator, 0.01, 0.05), 3)))
    return extras


def is_large(size: tuple[int, int]) -> bool:
    return size[0] * size[1] > EXACT_UP_TO


def site_factor(size: tuple[int, int], side: float) -> float:
    return min(1.0, side / max(size))
