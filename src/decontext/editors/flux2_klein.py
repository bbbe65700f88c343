"""FLUX.2 klein 4B, and every other Flux2KleinPipeline: a folder in diffusers' layout or a hub id.

The sequence is text, target, pictures; the photo's tokens carry 10 on the first of four position
axes, the target's 0. A photo larger than a megapixel is reduced, and its edges are cut to whole
tokens. The autoencoder's mode is used. The published model is distilled: an edit takes four steps
and no guidance; the `base` models are guided away from an empty instruction.
"""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux2.kind import KLEIN
from decontext.editors.flux2.loading import diagnose_flux2, load_flux2, weightless_flux2
from decontext.editors.joint.editor import JointEditor
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="flux2-klein",
    title="FLUX.2 [klein] 4B",
    weights="black-forest-labs/FLUX.2-klein-4B",
    licence="Apache-2.0",
    double_blocks=5,
    single_blocks=20,
    working_size="that of the photo up to 1 megapixel, edges cut to multiples of 16",
    memory="6 GB of weights in bfloat16, 3 in int8, 2 in nf4, 1 streamed; see 'doctor'",
)
PUBLISHED = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
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
    """Load FLUX.2 klein 4B from its hub id, or any Flux2KleinPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_flux2(
        INFO, KLEIN, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux2(INFO, PUBLISHED)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`."""
    return weightless_flux2(INFO, KLEIN, PUBLISHED, held, distilled=True)
