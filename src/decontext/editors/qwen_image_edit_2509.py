"""Qwen-Image-Edit-2509, and every other QwenImageEditPlusPipeline: for several pictures.

It is wired as Qwen-Image-Edit is. The k-th picture's tokens carry k on the first position axis, and
the language model sees each picture at about 384 x 384 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from decontext.editors import qwen_image_edit
from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.joint.editor import JointEditor
from decontext.editors.language.loading import diagnose_seeing, load_seeing
from decontext.editors.language.weightless import weightless_seeing
from decontext.editors.qwen.kind import PLUS, PUBLISHED, SMALL_VAE, TRANSFORMER, QwenKind
from decontext.editors.qwen.wiring import ENCODER
from decontext.editors.weights.weightless import Held

INFO = replace(
    qwen_image_edit.INFO,
    name="qwen-image-edit-2509",
    title="Qwen-Image-Edit-2509",
    weights="Qwen/Qwen-Image-Edit-2509",
)
STEPS = 40
SEEN_SIDE = 384


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load Qwen-Image-Edit-2509 from its hub id, or any QwenImageEditPlusPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_version(
        INFO, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose(info: EditorInfo = INFO, config: Mapping[str, Any] = PUBLISHED) -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_seeing(info, kind(), TRANSFORMER, config, encoder=ENCODER)


def weightless(
    held: Held, info: EditorInfo = INFO, config: Mapping[str, Any] = PUBLISHED
) -> JointEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""
    vae = SMALL_VAE if held.small else {}
    return weightless_seeing(info, PLUS, kind(), config, held, vae)


def load_version(
    info: EditorInfo,
    source: str | Path | None,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    stream_weights: bool,
) -> JointEditor:
    """Load one of the versions for several pictures. Raises: as `load`."""
    return load_seeing(
        info,
        PLUS,
        kind(),
        source,
        device=device,
        dtype=dtype,
        cache=cache,
        stream_weights=stream_weights,
    )


def kind() -> QwenKind:
    """Several pictures, which the language model sees smaller."""
    return QwenKind(steps=STEPS, several=True, seen_side=SEEN_SIDE)
