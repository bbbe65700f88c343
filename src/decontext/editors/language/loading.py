"""From a folder, a hub id or a pipeline in memory to an editor whose language model sees the photo.

The language model is loaded when an instruction is new, and forgotten again if it is large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux.diagnosis import diagnose_flux
from decontext.editors.joint.editor import JointEditor, Kind
from decontext.editors.joint.loading import Recipe, open_pipeline
from decontext.editors.language.patches import Grid
from decontext.editors.language.processor import Processor
from decontext.editors.language.seeing import SeeingParts, SeeingText
from decontext.editors.weights.plan import FLUX_ENCODER, Encoder
from decontext.editors.weights.text import TextModels
from decontext.editors.weights.transformer import count_published


class SeeingKind(Kind, Protocol):
    """A `joint.editor.Kind` whose language model sees the pictures."""

    def text_tokens(self, grid: Grid) -> int:
        """Of a pass with one square picture, about."""
        ...

    def asking(self, recipe: Recipe) -> SeeingParts:
        """How its pipeline asks the language model."""
        ...


def load_seeing(
    info: EditorInfo,
    recipe: Recipe,
    kind: SeeingKind,
    source: str | Path | None,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    stream_weights: bool,
) -> JointEditor:
    """Load an editor; weights are read when they are first needed.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    info = info if source is None else replace(info, weights=str(source))
    opened = open_pipeline(
        info.name,
        info.weights,
        recipe,
        device=device,
        dtype=dtype or "auto",
        cache=cache,
        stream_weights=stream_weights,
    )
    if configured := opened.pipeline.config.get("sample_sigmas"):
        kind.steps = len(configured)
    parts = kind.asking(recipe)
    models = TextModels(
        opened.load, opened.source, device=opened.device, names=parts.names, build=parts.build
    )
    grid = getattr(opened.pipeline, parts.processor).grid
    return JointEditor(
        kind,
        opened.pipeline,
        info,
        text=SeeingText(models, parts, grid=grid, length=kind.text_tokens(grid)),
        transformer=opened.transformer,
    )


def from_pipeline(
    pipeline: Any,
    info: EditorInfo,
    recipe: Recipe,
    kind: SeeingKind,
    *,
    checkpointing: bool | None = None,
) -> JointEditor:
    """An editor over a pipeline that is complete in memory, which it freezes."""
    parts = kind.asking(recipe)
    grid = Processor.over(getattr(pipeline, parts.processor)).grid
    text = SeeingText(pipeline, parts, grid=grid, length=kind.text_tokens(grid))
    return JointEditor(kind, pipeline, info, text=text, checkpointing=checkpointing)


def diagnose_seeing(
    info: EditorInfo,
    kind: SeeingKind,
    transformer: str,
    config: Mapping[str, Any],
    *,
    encoder: Encoder = FLUX_ENCODER,
) -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux(
        info,
        text_tokens=kind.text_tokens(Grid()),
        dimensions=count_published(transformer, config),
        encoder=encoder,
        gated=False,
        files=("model_index.json", "vae/diffusion_pytorch_model.safetensors"),
    )
