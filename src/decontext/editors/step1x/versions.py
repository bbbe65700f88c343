"""What tells the published versions of Step1X-Edit apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from decontext.editors.step1x import text, text_v1_2
from decontext.editors.step1x.connector import STEPS_PER_SIGMA
from decontext.editors.step1x.pixels import GRID_V1_2, to_patches, to_patches_v1_2
from decontext.editors.step1x.sampling import RESCALED_ABOVE
from decontext.photo.resampling import Kernel


@dataclass(frozen=True)
class Version:
    """One of them.

    Attributes:
        file: with transformer and connector, in the original release; empty where there is none.
        shift: from the position of a target token to that of the photo's at the same place.
        scaled: whether the connector scales its pooled mean by a learned factor.
        mapped: whether there is a layer for quoted letters beside the connector.
        side: of a square photo's ordinary working size.
        positions: that a text is padded to; None where it is not padded.
        text_tokens: of a pass, about.
        kernel: what brings a photo to its working size for the autoencoder.
        tamed_above: noise level above which guidance is tamed, see `sampling.guide`.
        text_side: reads instructions.
        cut: a photo at its working size into patches for that.
    """

    file: str
    shift: tuple[int, int, int]
    scaled: bool = False
    mapped: bool = False
    side: int = 512
    positions: int | None = text.POSITIONS
    text_tokens: int = text.POSITIONS
    kernel: Kernel = "lanczos"
    tamed_above: float = RESCALED_ABOVE
    text_side: Callable[[Any, Any], text.TextSide | text_v1_2.UnpaddedTextSide] = text.TextSide
    cut: Callable[[Tensor], tuple[Tensor, tuple[int, int]]] = to_patches


V1_1 = Version("step1x-edit-v1p1-official.safetensors", shift=(1, 1, 1))
V1_0 = Version("step1x-edit-i1258.safetensors", shift=(0, 0, 0), scaled=True)
V1_2 = Version(
    "",
    shift=(1, 0, 0),
    mapped=True,
    side=1024,
    positions=None,
    text_tokens=GRID_V1_2.most // GRID_V1_2.token**2 + text_v1_2.WORDS,
    kernel="bilinear",
    # Its program compares the scheduler's time, which goes to 1000: all but the very last is above.
    tamed_above=RESCALED_ABOVE / STEPS_PER_SIGMA,
    text_side=text_v1_2.UnpaddedTextSide,
    cut=to_patches_v1_2,
)
