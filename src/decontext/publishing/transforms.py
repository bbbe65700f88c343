"""What happens to a photo after it was published, by name, differentiable for the optimiser.

Between the photo and the editor on the way of the data. `parse_transform("jpeg-75+resize-0.5")`
is a chain of real operations on 8-bit pictures; the optimiser, `verify` and `evaluate` all use
these, so that what is optimised is what is measured. `chains.py` draws chains from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional

from decontext.errors import InputError
from decontext.photo.images import SMALLEST_SIDE
from decontext.photo.resampling import resize
from decontext.publishing.jpeg import compress, compress_in_turn

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
        """The picture afterwards, in [0, 1]; differentiable, except through `clean` and `denoise`.

        Args:
            image: `(1, 3, height, width)` in [0, 1].
            generator: on the CPU, of noise and of where a crop lies; by default the same each time.

        Returns: `(1, 3, height, width)` of another size after `crop` and `small`, on 8-bit levels;
        the gradient of rounding to these is taken as 1.
        """
        generator = generator or torch.Generator().manual_seed(0)
        for is_jpeg, run in groupby(self.parts, lambda part: part[0] in _FULL_COLOUR):
            parts = list(run)
            if is_jpeg and len(parts) > 1:
                codecs = [(int(value or 0), _FULL_COLOUR[kind]) for kind, value in parts]
                image = compress_in_turn(image, codecs)
                continue
            for kind, value in parts:
                image = _KINDS[kind].apply(image, value or 0.0, generator)
        return image

    def then(self, other: Transform) -> Transform:
        """This one and then the other."""
        return chain(*self.parts, *other.parts)

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
    by bilateral and guided filters as cleaning programs do it, `denoise`: by non-local means (both
    need the extra `eval`).

    Raises:
        InputError: no such operation, or its value is missing or out of range.
    """
    if name.strip() in ("", "none"):
        return Transform("none", ())
    parts = tuple(_parse_part(part.strip()) for part in name.split("+"))
    return chain(*parts)


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


def chain(*parts: Part) -> Transform:
    """The transform of these operations, named after them."""
    names = [kind if value is None else f"{kind}-{_format(value)}" for kind, value in parts]
    return Transform("+".join(names) or "none", parts)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


_FULL_COLOUR = {"jpeg": False, "jpeg444": True}


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
        image = image.narrow(
            axis, int(torch.randint(length - kept + 1, (), generator=generator)), kept
        )
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
    from decontext.publishing.cleaning import clean

    return clean(image)


def _denoise(image: Tensor, _value: float, _generator: torch.Generator) -> Tensor:
    from decontext.publishing.cleaning import denoise

    return denoise(image)


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
    "denoise": _Kind(_denoise, "denoised by non-local means"),
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
