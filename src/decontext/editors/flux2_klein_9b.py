"""FLUX.2 klein 9B, wired as klein 4B is; only its size, text encoder and licence differ."""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux2.kind import KLEIN
from decontext.editors.flux2.loading import diagnose_flux2, load_flux2, weightless_flux2
from decontext.editors.joint.editor import JointEditor
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="flux2-klein-9b",
    title="FLUX.2 [klein] 9B",
    weights="black-forest-labs/FLUX.2-klein-9B",
    licence="FLUX Non-Commercial License",
    double_blocks=8,
    single_blocks=24,
    working_size="that of the photo up to 1 megapixel, edges cut to multiples of 16",
    memory="14 GB of weights in bfloat16, 7 in int8, 4 in nf4, 2 streamed; see 'doctor'",
)
PUBLISHED = {
    "num_layers": 8,
    "num_single_layers": 24,
    "num_attention_heads": 32,
    "joint_attention_dim": 12288,
    "guidance_embeds": False,
}
"""Of the transformer's configuration, what differs from diffusers' defaults."""


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load FLUX.2 klein 9B from its hub id, or any Flux2KleinPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_flux2(
        INFO, KLEIN, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux2(INFO, PUBLISHED, gated=True)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`."""
    return weightless_flux2(INFO, KLEIN, PUBLISHED, held, distilled=True)
