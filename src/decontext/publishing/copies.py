"""Which published copies of a photo the least visible change is made for, and what each may show.

Beside `chains`, which draws what sites do with fixed odds. Here a step looks at one kind of copy;
how often each comes up follows from what it still shows (`visibility.demands`), so that the weakest
copy is strengthened and not the mean.
"""

from __future__ import annotations

import torch

from decontext.publishing.chains import draw_factor, draw_jpeg, draw_number
from decontext.publishing.transforms import Part, Transform, chain
from decontext.settings import LARGE_PHOTO, RobustLevel

SAVED = "saved"
KINDS: dict[RobustLevel, tuple[str, ...]] = {
    "off": (SAVED,),
    "jpeg": (SAVED, "jpeg"),
    "web": (SAVED, "reduced", "cut", "mirrored"),
    "strong": (SAVED, "reduced", "cut", "mirrored", "blurred", "noisy"),
}
"""Kinds of copies by level of `--robust`; the first is the photo as it was saved."""

LARGEST_CUT = 3.0
"""Photos that are so many times as long and wide as what the editor sees are not prepared for being
cut: it costs looks, and of the fall a cut copy keeps next to nothing all the same."""

ALLOWANCE = {SAVED: 1.0, "jpeg": 1.25, "reduced": 1.25}
USUAL_ALLOWANCE = 1.5
"""How many times as much a copy may show as the photo as it was saved."""

PRESSURE = {SAVED: 4.0, "cut": 3.0, "mirrored": 2.0}
USUAL_PRESSURE = 1.0
"""At first, see `visibility.demands.Demand`: about what it comes to on the photos of the
benchmark."""

SMALL_PHOTO_PRESSURE = 3.0
"""The same of compressed and reduced copies of photos that are less than `LARGEST_CUT` times as
long as what the editor sees: these lose by it what makes the fall, larger ones hardly anything."""

BOUNDS = {"cut": 3.5, "mirrored": 3.5}
"""Largest pressure: the price in visibility that is paid for these copies. What each bound buys is
in docs/visibility.md."""

LEAST_CUT, MOST_CUT = 2.0, 10.0
"""Percent of width and height; less than that is much as nothing."""

BEST_JPEG = 80
LEAST_REDUCED, MOST_REDUCED = 0.75, 0.5
"""Best quality and weakest reduction that are drawn: milder copies show little that the photo as it
was saved does not. With qualities to 95 and reductions from 1 the mean was as wanted, and the usual
copies of photos of the editor's own size kept half of the fall."""


def kinds_of(level: RobustLevel, ratio: float) -> tuple[str, ...]:
    """Kinds of a level for a photo that is `ratio` times as long as what the editor sees."""
    return tuple(kind for kind in KINDS[level] if kind != "cut" or ratio < LARGEST_CUT)


def pressure_of(kind: str, ratio: float) -> float:
    """How hard a kind presses at first, for a photo `ratio` times as long as what is seen of it."""
    if kind in ("jpeg", "reduced") and ratio < LARGEST_CUT:
        return SMALL_PHOTO_PRESSURE
    return PRESSURE.get(kind, USUAL_PRESSURE)


def draw_copy(
    kind: str, level: RobustLevel, size: tuple[int, int], generator: torch.Generator
) -> Transform:
    """One copy of a kind, of a photo of `size` (width, height).

    Of very large photos what is cut or mirrored is reduced first, which bounds the memory.
    """
    lowest = 60 if level == "web" else 50 if level == "jpeg" else 30
    jpeg = draw_jpeg(lowest, generator, highest=BEST_JPEG)
    small = ("small", draw_factor(MOST_REDUCED, size, generator, highest=LEAST_REDUCED))
    cut = ("crop", round(draw_number(generator, LEAST_CUT, MOST_CUT), 2))
    also = draw_number(generator) < 0.3
    swapped = draw_number(generator) < 0.5
    parts: dict[str, tuple[Part, ...]] = {
        SAVED: (),
        "jpeg": (jpeg,),
        "reduced": (small, jpeg) if swapped else (jpeg, small),
        "cut": (cut, jpeg) if also else (cut,),
        "mirrored": (("flip", None), jpeg) if also else (("flip", None),),
        "blurred": (("blur", round(draw_number(generator, 0.3, 1.5), 2)),),
        "noisy": (("noise", round(draw_number(generator, 0.01, 0.05), 3)),),
    }
    if kind in ("cut", "mirrored") and size[0] * size[1] > LARGE_PHOTO:
        return chain(small, *parts[kind])
    return chain(*parts[kind])
