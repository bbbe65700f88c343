"""Qwen-Image-Edit, and every other QwenImageEditPipeline: a folder in diffusers' layout or a hub.

The sequence is text, target, picture; the photo's tokens carry 1 on the first of three position
axes, the target's 0. The autoencoder's mode is used. The language model sees the photo at its
working size together with the instruction, and its states, the photo's own among them, are the
text. An edit is guided by a second pass with a blank instruction, which sees the photo too;
what is measured is the pass with the instruction.
"""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.joint.editor import JointEditor
from decontext.editors.language.loading import diagnose_seeing, load_seeing
from decontext.editors.language.weightless import weightless_seeing
from decontext.editors.qwen.kind import EDIT, PUBLISHED, SMALL_VAE, TRANSFORMER, QwenKind
from decontext.editors.qwen.wiring import ENCODER
from decontext.editors.weights.weightless import Held

INFO = EditorInfo(
    name="qwen-image-edit",
    title="Qwen-Image-Edit",
    weights="Qwen/Qwen-Image-Edit",
    licence="Apache-2.0",
    double_blocks=60,
    single_blocks=0,
    working_size="about 1 megapixel at the photo's aspect ratio, sides the nearest multiples of 32",
    memory="33 GB of weights in bfloat16, 16 in int8, 9 in nf4, 1 streamed, and before that 16 GB "
    "for the language model; see 'doctor'",
    text_sees_photo=True,
)
STEPS = 50


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    stream_weights: bool = False,
) -> JointEditor:
    """Load Qwen-Image-Edit from its hub id, or any QwenImageEditPipeline from `source`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_seeing(
        INFO,
        EDIT,
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
    vae = SMALL_VAE if held.small else {}
    return weightless_seeing(INFO, EDIT, kind(), PUBLISHED, held, vae)


def kind() -> QwenKind:
    """One picture, which the language model sees at its working size."""
    return QwenKind(steps=STEPS, several=False)
