"""How visible a protected photo's change is, in figures and in words.

The figures are those of others where their packages are installed: SSIMULACRA2 (of the extra
`eval`) and the JOD of ColorVideoVDP (`pip install cvvdp`). Beside them is the distance that was
made small, which needs nothing. Nobody looked: the words translate a figure.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from decontext.photo.images import to_array
from decontext.visibility.distance import VisibleDistance, local_contrast
from decontext.visibility.jod import jod

WORDS = (
    (90.0, "cannot be told from the photo"),
    (75.0, "can hardly be told from the photo"),
    (60.0, "is seen when compared closely"),
    (40.0, "is visible"),
    (-math.inf, "is plainly visible"),
)
"""What an SSIMULACRA2 from so many points on is called."""

SMOOTH, MOST = 4.0, 0.6
"""Places of less contrast than this, in levels of 255, are smooth; where more than this part of
what is seen lies there, and more than chance puts there, the words say so."""

SIX_SCALES = 256
"""Pixels a side from which on SSIMULACRA2 has all of its scales."""

SCORED_SIDE = 1024
"""Pixels. Of larger photos the square where most changed is measured, which bounds the cost."""


@dataclass(frozen=True)
class Visibility:
    """How visible the change of a photo is.

    Attributes:
        distance: see `VisibleDistance`: 0 for none, about 6 where SSIMULACRA2 is 80.
        ssimulacra2: 100 for none, 90 not told apart, 70 good, 50 plain; None without its package.
        jod: just-objectionable differences by ColorVideoVDP, 10 for none, at a desk of 30 inches
            and 4K pixels; None without its package.
        on_smooth: which part of what is seen lies on smooth places such as skin and sky, [0, 1].
        smooth: which part of the photo such places are, [0, 1].
    """

    distance: float
    ssimulacra2: float | None
    jod: float | None
    on_smooth: float
    smooth: float

    @property
    def words(self) -> str:
        """The same in words, such as "can hardly be told from the photo"."""
        if self.distance == 0:
            return "is the photo itself"
        score = self.ssimulacra2
        if score is None:
            score = estimate_score(self.distance)
        said = describe_score(score)
        if score < 75 and self.on_smooth > max(MOST, self.smooth):
            said += ", mostly on smooth areas such as skin and sky"
        return said

    @property
    def sentence(self) -> str:
        """The words with the figures that there are."""
        figures = {"SSIMULACRA2": self.ssimulacra2, "JOD": self.jod}
        shown = [f"{name} {value:.3g}" for name, value in figures.items() if value is not None]
        return f"the change {self.words}" + (f" ({', '.join(shown)})" if shown else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self) | {"words": self.words}


def measure_visibility(original: Tensor, protected: Tensor) -> Visibility:
    """How visible the difference of two pictures `(1, 3, height, width)` in [0, 1] is."""
    original, protected = (picture.cpu() for picture in _most_changed(original, protected))
    measure = VisibleDistance(original)
    with torch.no_grad():
        change = protected - original
        seen = measure.by_place(change)
        smooth = local_contrast(original * 255).amax(dim=1, keepdim=True) < SMOOTH
        distance = float(measure(change))
    total = float(seen.sum(dtype=torch.float64))
    return Visibility(
        distance=distance,
        ssimulacra2=ssimulacra2(original, protected),
        jod=jod(original, protected),
        on_smooth=float(seen[smooth].sum(dtype=torch.float64)) / total if total else 0.0,
        smooth=float(smooth.float().mean()),
    )


def describe_score(score: float) -> str:
    """What an SSIMULACRA2 is called, such as "is visible"."""
    return next(words for least, words in WORDS if score >= least)


def estimate_score(distance: float) -> float:
    """About which SSIMULACRA2 a distance stands for, where that is not installed.

    Source: a fit to the 48 random changes of docs/visibility.json (`python -m benchmarks.visibility
    scores --ratios 2 --photos 90002,grace_hopper,astronaut`): 4.7 points off in the mean,
    correlation 0.97. How far off it is at other sizes is in docs/visibility.md.
    """
    return 100 - 8.4 * math.sqrt(distance)


def ssimulacra2(original: Tensor, protected: Tensor) -> float | None:
    """SSIMULACRA2 of two pictures, at most 100; None where the package is not installed.

    Below 256 pixels it has fewer than its six scales, and gives each the weight of another one:
    random blue of two levels then scores as eight do. Smaller pictures are scored beside their
    mirror images, which leaves every pixel as large as it was.
    """
    if find_spec("ssimulacra2") is None:
        return None
    from PIL import Image
    from ssimulacra2 import compute_ssimulacra2

    # The package reads files only.
    with TemporaryDirectory() as folder:
        paths = [f"{folder}/original.png", f"{folder}/protected.png"]
        for path, picture in zip(paths, (original, protected), strict=True):
            Image.fromarray(to_array(_mirrored(picture))).save(path)
        return float(compute_ssimulacra2(*paths))


def _most_changed(original: Tensor, protected: Tensor) -> tuple[Tensor, Tensor]:
    """The same square of both pictures of a large photo, where most changed; small ones whole."""
    height, width = original.shape[-2:]
    rows, columns = min(height, SCORED_SIDE), min(width, SCORED_SIDE)
    if height * width <= SCORED_SIDE**2:
        return original, protected
    stride = SCORED_SIDE // 2
    squares = [
        (top, left)
        for top in _places(height - rows, stride)
        for left in _places(width - columns, stride)
    ]

    def cut(picture: Tensor, top: int, left: int) -> Tensor:
        return picture[..., top : top + rows, left : left + columns]

    def changed(place: tuple[int, int]) -> float:
        return float((cut(protected, *place) - cut(original, *place)).square().sum())

    most = max(squares, key=changed)
    return cut(original, *most), cut(protected, *most)


def _mirrored(picture: Tensor) -> Tensor:
    for axis in (-2, -1):
        while picture.shape[axis] < SIX_SCALES:
            picture = torch.cat([picture, picture.flip(axis)], dim=axis)
    return picture


def _places(last: int, stride: int) -> list[int]:
    return [*range(0, last, stride), last]
