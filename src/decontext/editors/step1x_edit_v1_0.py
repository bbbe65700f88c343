"""Step1X-Edit v1.0: the first release. It loads and runs through the code of v1.1.

Two things differ: the photo's tokens have the very positions of the target's, and the connector
scales its mean.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.editors import step1x_edit
from decontext.editors._base import Outlook
from decontext.editors.step1x.versions import V1_0

if TYPE_CHECKING:
    import torch

    from decontext.editors.weights.weightless import Held

INFO = replace(step1x_edit.INFO, name="step1x-edit-v1.0", title="Step1X-Edit v1.0")


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return step1x_edit.diagnose(INFO, V1_0)


def weightless(held: Held) -> step1x_edit.Step1XEditor:
    """The published editor without its weights, see `Held`."""
    return step1x_edit.weightless(held, INFO, V1_0)


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> step1x_edit.Step1XEditor:
    """Load Step1X-Edit v1.0 from its hub ids or from a folder.

    Raises: as `step1x_edit.load`.
    """
    return step1x_edit.load_version(
        INFO,
        V1_0,
        source,
        device=device,
        dtype=dtype,
        cache=cache,
        stream_weights=stream_weights,
    )
