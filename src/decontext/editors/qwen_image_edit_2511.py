"""Qwen-Image-Edit-2511: loads and runs through the code of 2509.

Its configuration says that the pictures' tokens are modulated as at noise level zero
(`zero_cond_t`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from decontext.editors import qwen_image_edit_2509
from decontext.editors._base import Outlook
from decontext.editors.joint.editor import JointEditor
from decontext.editors.qwen.kind import PUBLISHED
from decontext.editors.weights.weightless import Held

INFO = replace(
    qwen_image_edit_2509.INFO,
    name="qwen-image-edit-2511",
    title="Qwen-Image-Edit-2511",
    weights="Qwen/Qwen-Image-Edit-2511",
)

CONFIG = {**PUBLISHED, "zero_cond_t": True}
"""The transformer's configuration, as far as it is not diffusers' default."""


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load Qwen-Image-Edit-2511 from its hub id, or any QwenImageEditPlusPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return qwen_image_edit_2509.load_version(
        INFO, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return qwen_image_edit_2509.diagnose(INFO, CONFIG)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""
    return qwen_image_edit_2509.weightless(held, INFO, CONFIG)
