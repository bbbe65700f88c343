"""FLUX.2 dev, and every other Flux2Pipeline: wired as klein is, with guidance as an input.

Its text encoder is Mistral Small 3. An edit takes 50 steps at guidance 4, as diffusers
has it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux2.kind import DEV
from decontext.editors.flux2.loading import diagnose_flux2, load_flux2, weightless_flux2
from decontext.editors.joint.editor import JointEditor
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="flux2-dev",
    title="FLUX.2 [dev]",
    weights="black-forest-labs/FLUX.2-dev",
    licence="FLUX Non-Commercial License",
    double_blocks=8,
    single_blocks=48,
    working_size="that of the photo up to 1 megapixel, edges cut to multiples of 16",
    memory="46 GB of weights in bfloat16, 24 in int8, 14 in nf4, 5 streamed; see 'doctor'",
)
PUBLISHED = {
    "num_layers": 8,
    "num_single_layers": 48,
    "num_attention_heads": 48,
    "joint_attention_dim": 15360,
    "guidance_embeds": True,
}
"""The transformer's configuration; it is diffusers' default."""


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load FLUX.2 dev from its hub id, or any Flux2Pipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_flux2(
        INFO, DEV, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux2(INFO, PUBLISHED, gated=True)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`."""
    return weightless_flux2(INFO, DEV, PUBLISHED, held, distilled=False)
