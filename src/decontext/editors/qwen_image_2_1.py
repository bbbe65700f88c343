"""Qwen-Image-2.1, which edits too, and every other QwenImage21Pipeline.

The sequence is text with the pictures in it, then the target, which sees everything before
it and is seen by nothing: the photo's keys and values depend neither on the noise nor on its level.
The autoencoder's mode is used. The language model sees the photo at its working size, and its
states of the instruction are text; those of the photo are replaced by the photo's latents. An
edit has no guidance.
"""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.joint.editor import JointEditor
from decontext.editors.language.loading import diagnose_seeing, load_seeing
from decontext.editors.language.weightless import weightless_seeing
from decontext.editors.qwen.causal import ENCODER, TRANSFORMER
from decontext.editors.qwen.causal_kind import PUBLISHED, RECIPE, STATES, CausalKind
from decontext.editors.qwen.kind import SMALL_VAE
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="qwen-image-2.1",
    title="Qwen-Image-2.1",
    weights="Qwen/Qwen-Image-2.1",
    licence="a research licence, see the model's page",
    double_blocks=32,
    single_blocks=0,
    working_size="about 1 megapixel at the photo's aspect ratio, sides the nearest multiples of 32",
    memory="11 GB of weights in bfloat16, 6 in int8, 3 in nf4, 1 streamed, and before that the "
    "language model; see 'doctor'",
    text_sees_photo=True,
)


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load Qwen-Image-2.1 from its hub id, or any QwenImage21Pipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_seeing(
        INFO,
        RECIPE,
        kind(),
        source,
        device=device,
        dtype=dtype,
        cache=cache,
        stream_weights=stream_weights,
    )


def diagnose() -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_seeing(INFO, kind(), TRANSFORMER, PUBLISHED, encoder=ENCODER)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""
    own, vae = kind(), SMALL_VAE if held.small else {}
    return weightless_seeing(INFO, RECIPE, own, PUBLISHED, held, vae, states=STATES, lay=own.lay)


def kind() -> CausalKind:
    """As published."""
    return CausalKind()
