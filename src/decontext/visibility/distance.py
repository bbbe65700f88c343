"""How much a change of a photo is seen, as a number with a gradient.

Between the photo and the optimiser on the way of the data. A change is split into brightness and
two colour differences and looked at from ever further away: each scale is the one before it at
half the size. At each scale and in each of the three it counts by how much of it people (as
SSIMULACRA2 and ColorVideoVDP model them) let pass there, and by what the photo itself hides:
change is seen less in texture of its own scale and colour than on skin and sky. Coarse scales count
most: a blotch is seen where grain is not. Skin and plain places are guarded (`guard`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from decontext.visibility.guard import guard

LUMA = (0.299, 0.587, 0.114)
TO_YCC = (LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""RGB to brightness and the differences of blue and red from it, as JPEG has them."""

ALLOWED = (
    (4.0, 2.4, 1.3, 1.0, 1.1),
    (10.0, 7.5, 5.5, 2.6, 1.4),
    (7.0, 4.5, 3.1, 3.0, 2.2),
)
"""Root mean square, in levels of 255, of random change that leaves an SSIMULACRA2 of 80: for
brightness, blue and red, each in octaves from the finest; means over the photos of
`benchmarks/visibility.py`, which measures them."""

SCALES = 5
HIDING_CONTRAST = 6.0
"""Levels of local contrast from which on a photo hides much of a change of the same scale."""

_HIDING_POWER = 0.6
_WINDOW = 1.5  # pixels of each scale: standard deviation of the window of local contrast


class VisibleDistance:
    """Measures changes of one photo; 0 for none, quadratic in their size.

    Random change that leaves an SSIMULACRA2 of 80 measures about 1 in texture (see `ALLOWED`), and
    about 6 over photos as they are, with their plain places (`scores.estimate_score`).

    Args:
        photo: `(1, 3, height, width)` in [0, 1].
        first: for changes that have nothing finer: how many times both are halved before they are
            compared, see `of_layers`.
    """

    def __init__(self, photo: Tensor, *, first: int = 0) -> None:
        weights = torch.tensor(_cumulative_weights(), device=photo.device)
        weights[min(first, SCALES - 1)] = weights[: first + 1].sum(dim=0)
        self._to_ycc = torch.tensor(TO_YCC, device=photo.device) * 255
        self._first = first
        self._counts: list[Tensor] = []
        scale = blend_bands(photo, self._to_ycc, first)
        for index, weight in enumerate(weights[min(first, SCALES - 1) :]):
            scale = halve(scale) if index else scale
            self._counts.append(weight[:, None, None] / tolerance(scale, first + index))

    def __call__(self, change: Tensor) -> Tensor:
        """How much a change `(1, 3, height, width)` is seen: a scalar.

        At each scale the root mean square over places: where much of a change lies in one place it
        is seen there, whatever the rest looks like.
        """
        return self.of_layers(blend_bands(change, self._to_ycc, self._first))

    def of_layers(self, change: Tensor) -> Tensor:
        """The same of what `Layers.add` returned: brightness and colours, already halved."""
        total = torch.zeros((), device=change.device)
        for seen in self._seen(change):
            mean = seen.square().mean()
            # The root has no slope at 0, where a grey photo's change does not count at a scale.
            total = total + torch.where(mean > 0, mean, 1).sqrt() * (mean > 0)
        return total

    @torch.no_grad()
    def by_place(self, change: Tensor) -> Tensor:
        """The same for each place: `(1, 1, height, width)`, 0 or more."""
        size = change.shape[-2:]
        parts = (
            functional.interpolate(seen, size=size, mode="bilinear", align_corners=False)
            for seen in self._seen(blend_bands(change, self._to_ycc, self._first))
        )
        return torch.stack(list(parts)).sum(dim=0)

    def _seen(self, scale: Tensor) -> list[Tensor]:
        """For each scale what is seen at each place, `(1, 1, height, width)` of that scale."""
        found = []
        for index, counts in enumerate(self._counts):
            scale = halve(scale) if index else scale
            counted = scale.square() * counts[:, : scale.shape[1]]
            found.append(counted.sum(dim=1, keepdim=True))
        return found


def blend_bands(picture: Tensor, to_ycc: Tensor, times: int) -> Tensor:
    """Brightness and colours of a picture or change, halved so many times."""
    for _ in range(times):
        picture = halve(picture)
    return torch.einsum("ij,bjhw->bihw", to_ycc, picture)


def tolerance(scale: Tensor, octave: int) -> Tensor:
    """How much less a change is seen at each place of a photo's scale than elsewhere, as its square
    counts: more where the photo hides it, less where it is guarded."""
    contrast = local_contrast(scale)
    return hiding(contrast) / guard(scale, contrast[:, 0:1], octave)


def hiding(contrast: Tensor) -> Tensor:
    """How much less a change is seen than where nothing hides it, as its square counts: from 1."""
    return (contrast / HIDING_CONTRAST).square_().add_(1).pow_(_HIDING_POWER)


def local_contrast(picture: Tensor) -> Tensor:
    """Standard deviation around each place, of each channel, in the unit of the picture."""
    mean = blur(picture, _WINDOW)
    return (blur(picture.square(), _WINDOW) - mean.square()).clamp_(min=0).sqrt_()


def halve(picture: Tensor) -> Tensor:
    """Half the size, means of four pixels; an odd last row or column keeps its own."""
    return functional.avg_pool2d(picture, 2, ceil_mode=True, count_include_pad=False)


def blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian of `sigma` pixels; the border is repeated outwards."""
    reach = int(3 * sigma + 1)
    places = torch.arange(-reach, reach + 1, dtype=picture.dtype, device=picture.device)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    padded = functional.pad(picture, (reach,) * 4, mode="replicate").transpose(0, 1)
    rows = functional.conv2d(padded, weights.view(1, 1, -1, 1))
    return functional.conv2d(rows, weights.view(1, 1, 1, -1)).transpose(0, 1)


def _cumulative_weights() -> list[list[float]]:
    """Of brightness, blue and red at each scale.

    A scale still holds all coarser octaves, so what an octave must weigh is the sum over the
    scales up to its own: each adds what is missing, if anything.
    """
    weights: list[list[float]] = []
    for octave in range(SCALES):
        wanted = [1 / channel[octave] ** 2 for channel in ALLOWED]
        so_far = [sum(scale[index] for scale in weights) for index in range(len(ALLOWED))]
        weights.append([max(0.0, want - have) for want, have in zip(wanted, so_far, strict=True)])
    return weights
