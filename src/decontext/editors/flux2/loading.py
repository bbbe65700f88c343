"""From a folder, a hub id or a pipeline in memory to an editor of the FLUX.2 family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux.diagnosis import diagnose_flux
from decontext.editors.flux2.kind import TEXT_TOKENS, Flux2Kind, text_parts
from decontext.editors.joint.editor import JointEditor
from decontext.editors.joint.loading import Recipe, open_pipeline
from decontext.editors.joint.text import BlindText
from decontext.editors.weights.embeddings import EmbeddingCache
from decontext.editors.weights.text import ResidentText, TextEncoder
from decontext.editors.weights.transformer import build_transformer, count_published
from decontext.editors.weights.weightless import Held, NoText, empty_part, empty_transformer

KLEIN_STEPS, STEPS = 4, 50
"""Of an ordinary edit: by a distilled klein, and by the others."""

GUIDANCE = 4.0


def load_flux2(
    info: EditorInfo,
    recipe: Recipe,
    source: str | Path | None,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    stream_weights: bool,
    text_tokens: int = TEXT_TOKENS,
    make_kind: Callable[[Any], Flux2Kind] | None = None,
    keep_embeddings: bool = True,
) -> JointEditor:
    """Load an editor; weights are read when they are first needed.

    `make_kind` makes the kind of a pipeline where it is not the published one, `keep_embeddings`
    keeps encoded instructions on disk.

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
    text = TextEncoder(
        opened.load,
        opened.source,
        device=opened.device,
        length=text_tokens,
        cache=EmbeddingCache() if keep_embeddings else None,
        parts=text_parts(recipe),
    )
    return JointEditor(
        (make_kind or _kind_of)(opened.pipeline),
        opened.pipeline,
        info,
        text=BlindText(text),
        transformer=opened.transformer,
    )


def diagnose_flux2(info: EditorInfo, config: Mapping[str, Any], *, gated: bool = False) -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux(
        info,
        text_tokens=TEXT_TOKENS,
        dimensions=count_published("Flux2Transformer2DModel", config),
        gated=gated,
        files=("model_index.json", "vae/diffusion_pytorch_model.safetensors"),
    )


def weightless_flux2(
    info: EditorInfo, recipe: Recipe, config: Mapping[str, Any], held: Held, *, distilled: bool
) -> JointEditor:
    """The published editor without its weights, see `Held`."""
    transformer = empty_transformer(
        info.name, partial(build_transformer, "Flux2Transformer2DModel"), config, held
    )
    pipeline = recipe.build(
        {"vae": empty_part("AutoencoderKLFlux2", {}, held), "transformer": transformer.model},
        dict.fromkeys(recipe.settings, distilled),
    )
    text: Any = NoText(held, embeddings=(1, TEXT_TOKENS, config["joint_attention_dim"]))
    return JointEditor(
        _kind_of(pipeline), pipeline, info, text=BlindText(text), transformer=transformer
    )


def from_pipeline(
    pipeline: Any, info: EditorInfo, recipe: Recipe, *, checkpointing: bool | None = None
) -> JointEditor:
    """An editor over a pipeline that is complete in memory, which it freezes."""
    text = ResidentText(pipeline, parts=text_parts(recipe), length=TEXT_TOKENS)
    return JointEditor(
        _kind_of(pipeline), pipeline, info, text=BlindText(text), checkpointing=checkpointing
    )


def _kind_of(pipeline: Any) -> Flux2Kind:
    if pipeline.transformer.config.guidance_embeds:
        return Flux2Kind(steps=STEPS, guidance=GUIDANCE, embedded=True)
    if pipeline.config.get("is_distilled"):
        return Flux2Kind(steps=KLEIN_STEPS, guidance=1.0, distilled=True)
    return Flux2Kind(steps=STEPS, guidance=GUIDANCE)
