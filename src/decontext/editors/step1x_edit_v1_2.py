"""Step1X-Edit v1.2: it loads and runs through the code of v1.1.

What differs: a larger picture; a question in other words, in which the photo comes last; texts are
not padded, and their tokens have places of their own, those of the photo over the photo; quoted
letters are looked at twice; guidance is tamed at every noise level. Its program can also have the
language model rewrite the instruction and judge the edit ("thinking", "reflection"): that is no
part of an edit here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.editors import step1x_edit
from decontext.editors._base import Outlook
from decontext.editors.step1x.versions import V1_2

if TYPE_CHECKING:
    import torch

    from decontext.editors.weights.weightless import Held

INFO = replace(
    step1x_edit.INFO,
    name="step1x-edit-v1.2",
    title="Step1X-Edit v1.2",
    weights="stepfun-ai/Step1X-Edit-v1p2",
    working_size="about 1 megapixel, any aspect ratio",
)


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return step1x_edit.diagnose(INFO, V1_2)


def weightless(held: Held) -> step1x_edit.Step1XEditor:
    """The published editor without its weights, see `Held`."""
    return step1x_edit.weightless(held, INFO, V1_2)


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> step1x_edit.Step1XEditor:
    """Load Step1X-Edit v1.2 from its hub id or from a folder in diffusers' layout.

    Raises: as `step1x_edit.load`.
    """
    return step1x_edit.load_version(
        INFO,
        V1_2,
        source,
        device=device,
        dtype=dtype,
        cache=cache,
        stream_weights=stream_weights,
    )
