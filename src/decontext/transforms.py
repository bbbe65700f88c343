"""What happens to a photo after it was published, by name, differentiable for the optimiser.

Between the photo and the editor on the way of the data. `parse_transform("jpeg-75+resize-0.5")`
is a chain of real operations on 8-bit pictures; the optimiser, `verify` and `evaluate` all use
these, so that what is optimised is what is measured. `draw_chain` draws what the optimiser sees
in a step, at one of the levels of `--robust`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from decontext.errors import InputError
from decontext.images import SMALLEST_SIDE
from decontext.jpeg import EXACT_UP_TO, compress
from decontext.resampling import resize
from decontext.settings import RobustLevel

EVALUATED = (
    "none",
    "jpeg-95",
    "jpeg-85",
    "jpeg-75",
    "jpeg-50",
    "resize-0.75",
    "resize-0.5",
    "small-0.5",
    "jpeg-75+resize-0.5",
    "crop-5",
    "flip",
    "blur-1",
    "noise-0.02",
    "noise-0.05",
    "clean",
)
"""What studies measure; all but `clean` need nothing beyond the package itself."""

Part = tuple[str, float | None]
"""An operation's name and its value; None where it takes none."""

SITE_SIDES = (1080, 2048)
"""Longest side in pixels to which sites reduce large photos, smallest and largest."""


@dataclass(frozen=True)
class Transform:
    """A chain of operations; calling it applies them in order.

    Attributes:
        name: what `parse_transform` reads, such as `jpeg-75+resize-0.5`.
        parts: the operations in their order.
    """

    name: str
    parts: tuple[Part, ...]

    def __call__(self, image: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The picture afterwards, in [0, 1]; differentiable, except through `clean`.

        Args:
            image: `(1, 3, height, width)` in [0, 1].
            generator: on the CPU, of noise and of where a crop lies; by default the same each time.

        Returns: `(1, 3, height, width)` of another size after `crop` and `small`, on 8-bit levels;
        the gradient of rounding to these is taken as 1.
        """
        generator = generator or torch.Generator().manual_seed(0)
        for kind, value in self.parts:
            image = _KINDS[kind].apply(image, value or 0.0, generator)
        return image

    def describe(self) -> str:
        """In plain words, such as "saved as JPEG of quality 75, halved in size and enlarged"."""
        said = [_KINDS[kind].text.format(value=_format(value)) for kind, value in self.parts]
        return ", then ".join(said) or "as it is"


def parse_transform(name: str) -> Transform:
    """The transform of a name: one operation, or several with `+`; `none` is none.

    `jpeg-Q`: saved as JPEG of quality Q, 1 to 100, halved colour resolution (`jpeg444-Q`: full).
    `resize-F`: reduced by F, above 0 to 1, and enlarged again. `small-F`: left at that size.
    `crop-P`: P percent of width and height cut off, up to 50. `flip`: mirrored. `blur-S`: Gaussian
    blur of S pixels. `noise-S`: Gaussian noise of S times the full range. `clean`: smoothed
    by bilateral and guided filters as cleaning programs do it (needs the extra `eval`).

    Raises:
        InputError: no such operation, or its value is missing or out of range.
    """
    if name.strip() in ("", "none"):
        return Transform("none", ())
    parts = tuple(_parse_part(part.strip()) for part in name.split("+"))
    return _chain(*parts)


def draw_chain(level: RobustLevel, size: tuple[int, int], generator: torch.Generator) -> Transform:
    """What the optimiser sees a photo of `size` (width, height) through in one step.

    - `off`: nothing. - `jpeg`: nothing or, three times in four, JPEG of quality 50 to 95.
    - `web`: with equal odds nothing; JPEG 60 to 95; reduced to 0.5 to 1, then JPEG; JPEG, then
      reduced; each with even odds after cutting off up to 2 percent, which also shifts it.
    - `strong`: as `web` with JPEG from 30, reduced down to 0.35, up to 8 percent cut off; with
      even odds mirrored, and one time in three each blurred (0.3 to 1.5 pixels) and with noise
      (0.01 to 0.05 of the range).

    Photos of more than 4 megapixels are seen as they are every other time, and the reduction
    is the usual one of sites, to a longest side of 1080 to 2048 pixels: both bound the cost.
    """
    if level == "off":
        return Transform("none", ())
    large = size[0] * size[1] > EXACT_UP_TO
    if large and _draw(generator) < 1 / 3:
        return Transform("none", ())
    choice = int(4 * _draw(generator))
    if level == "jpeg":
        return _chain(_draw_jpeg(50, generator)) if choice else Transform("none", ())
    lowest, reduced, cut = (60, 0.5, 2.0) if level == "web" else (30, 0.35, 8.0)
    jpeg = _draw_jpeg(lowest, generator)
    small = ("small", _draw_factor(reduced, size, generator))
    chains: tuple[tuple[Part, ...], ...] = ((), (jpeg,), (small, jpeg), (jpeg, small))
    parts = chains[choice]
    if _draw(generator) < 0.5:
        parts = (("crop", round(_draw(generator, 0, cut), 2)), *parts)
    if level == "strong":
        parts = (*parts, *_draw_extras(generator))
    return _chain(*parts)


def fixed_chains(level: RobustLevel, size: tuple[int, int]) -> tuple[Transform, ...]:
    """Four chains in the middle of what `draw_chain` draws, by which iterates are compared."""
    small = _site_factor(size, sum(SITE_SIDES) / 2) if _is_large(size) else 0.7
    names = {
        "off": ("none", "none", "none", "none"),
        "jpeg": ("none", "jpeg-90", "jpeg-75", "jpeg-60"),
        "web": ("none", "jpeg-75", f"small-{small:.4f}+jpeg-80", f"jpeg-75+small-{small:.4f}"),
        "strong": ("none", "jpeg-50+flip", f"small-{small:.4f}+jpeg-65", "crop-4+blur-0.8"),
    }
    return tuple(parse_transform(name) for name in names[level])


@dataclass(frozen=True)
class _Kind:
    """An operation: how it works, the values it takes (both ends included), and in words."""

    apply: Callable[[Tensor, float, torch.Generator], Tensor]
    text: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False


def _parse_part(part: str) -> Part:
    kind, _, written = part.partition("-")
    if kind not in _KINDS:
        raise InputError(
            f"no transform is named {part!r}; there are {', '.join(_KINDS)}.", "Try 'jpeg-75'."
        )
    known = _KINDS[kind]
    if known.high == 0:
        if written:
            raise InputError(f"the transform {kind!r} takes no value, but has {written!r}.")
        return kind, None
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not known.low <= value <= known.high or (known.whole and value != int(value)):
        raise InputError(
            f"the transform {part!r} needs a {'whole ' if known.whole else ''}number "
            f"from {known.low:g} to {known.high:g}.",
            f"Try '{kind}-{_EXAMPLES[kind]}'.",
        )
    return kind, value


def _chain(*parts: Part) -> Transform:
    names = [kind if value is None else f"{kind}-{_format(value)}" for kind, value in parts]
    return Transform("+".join(names) or "none", parts)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _draw(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    share = torch.rand((), dtype=torch.float64, generator=generator, device=generator.device)
    return low + (high - low) * float(share)


def _draw_jpeg(lowest: int, generator: torch.Generator) -> Part:
    return "jpeg", float(int(_draw(generator, lowest, 96)))


def _draw_factor(lowest: float, size: tuple[int, int], generator: torch.Generator) -> float:
    if _is_large(size):
        return round(_site_factor(size, _draw(generator, *SITE_SIDES)), 4)
    return round(_draw(generator, lowest, 1.0), 3)


def _draw_extras(generator: torch.Generator) -> list[Part]:
    """What only the level `strong` adds, after everything else."""
    extras: list[Part] = []
    if _draw(generator) < 0.5:
        extras.append(("flip", None))
    if _draw(generator) < 1 / 3:
        extras.append(("blur", round(_draw(generator, 0.3, 1.5), 2)))
    if _draw(generator) < 1 / 3:
        extras.append(("noise", round(_draw(generator, 0.01, 0.05), 3)))
    return extras


def _is_large(size: tuple[int, int]) -> bool:
    return size[0] * size[1] > EXACT_UP_TO


def _site_factor(size: tuple[int, int], side: float) -> float:
    return min(1.0, side / max(size))


def _jpeg(image: Tensor, quality: float, _generator: torch.Generator) -> Tensor:
    return compress(image, int(quality))


def _jpeg_full_colour(image: Tensor, quality: float, _generator: torch.Generator) -> Tensor:
    return compress(image, int(quality), full_colour=True)


def _there_and_back(image: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    size = (image.shape[-1], image.shape[-2])
    return _round(resize(_reduce(image, factor, generator), size))


def _reduce(image: Tensor, factor: float, _generator: torch.Generator) -> Tensor:
    width, height = (
        max(min(side, SMALLEST_SIDE), round(side * factor))
        for side in (image.shape[-1], image.shape[-2])
    )
    return _round(resize(image, (width, height)))


def _crop(image: Tensor, percent: float, generator: torch.Generator) -> Tensor:
    """A view of the picture: it costs nothing."""
    for axis in (-2, -1):
        length = image.shape[axis]
        kept = max(min(length, SMALLEST_SIDE), length - round(length * percent / 100))
        image = image.narrow(axis, int(_draw(generator) * (length - kept + 1)), kept)
    return image


def _flip(image: Tensor, _value: float, _generator: torch.Generator) -> Tensor:
    return image.flip(-1)


def _blur(image: Tensor, sigma: float, _generator: torch.Generator) -> Tensor:
    """Gaussian, cut off at three standard deviations; the border is repeated outwards."""
    reach = max(1, math.ceil(3 * sigma))
    places = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(image, (reach,) * 4, mode="replicate").transpose(0, 1)
    rows = functional.conv2d(padded, weights.view(1, 1, -1, 1))
    return _round(functional.conv2d(rows, weights.view(1, 1, 1, -1)).transpose(0, 1))


def _noise(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(image.shape, generator=generator, dtype=image.dtype)
    return _round(image + strength * noise.to(image.device))


def _clean(image: Tensor, _value: float, _generator: torch.Generator) -> Tensor:
    from decontext.cleaning import clean

    return clean(image)


def _round(image: Tensor) -> Tensor:
    """To 8-bit levels within [0, 1]; the gradient passes as if nothing were rounded."""
    rounded = (image.detach() * 255).round_().div_(255).clamp_(0, 1)
    return image + (rounded - image).detach() if image.requires_grad else rounded


_KINDS: dict[str, _Kind] = {
    "jpeg": _Kind(_jpeg, "saved as JPEG of quality {value}", 1, 100, whole=True),
    "jpeg444": _Kind(
        _jpeg_full_colour, "saved as JPEG of quality {value} in full colour", 1, 100, whole=True
    ),
    "resize": _Kind(_there_and_back, "reduced to {value} of its size and enlarged again", 0.01, 1),
    "small": _Kind(_reduce, "reduced to {value} of its size", 0.01, 1),
    "crop": _Kind(_crop, "{value} % of width and height cut off", 0, 50),
    "flip": _Kind(_flip, "mirrored"),
    "blur": _Kind(_blur, "blurred by {value} pixels", 0.1, 50),
    "noise": _Kind(_noise, "with noise of {value} of the range", 0, 1),
    "clean": _Kind(_clean, "smoothed by a cleaning program"),
}
_EXAMPLES = {
    "jpeg": 75,
    "jpeg444": 95,
    "resize": 0.5,
    "small": 0.5,
    "crop": 5,
    "blur": 1,
    "noise": 0.02,
}
