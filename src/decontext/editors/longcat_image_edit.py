"""LongCat-Image-Edit: a folder in diffusers' layout of a LongCatImageEditPipeline, or a hub id.

The sequence is text, target, photo; the first of three position axes is 0, 1 and 2 for them. The
autoencoder is FLUX's, and its mode is used. The language model sees the photo at half of its
working size together with the instruction, and its states, the photo's own among them, are the
text. An edit is guided by a second pass with an empty instruction, which sees the photo too;
what is measured is the pass with the instruction.
"""

from __future__ import annotations

from pathlib import Path

import torch

from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.flux.weightless import AUTOENCODER
from decontext.editors.joint.editor import JointEditor
from decontext.editors.language.loading import diagnose_seeing, load_seeing
from decontext.editors.language.weightless import weightless_seeing
from decontext.editors.longcat.kind import PUBLISHED, RECIPE, TRANSFORMER, LongCatKind
from decontext.editors.weights.weightless import NARROW, Held

INFO = EditorInfo(
    name="longcat-image-edit",
    title="LongCat-Image-Edit",
    weights="meituan-longcat/LongCat-Image-Edit",
    licence="Apache-2.0",
    double_blocks=10,
    single_blocks=20,
    working_size="about 1 megapixel at the photo's aspect ratio, sides the next multiples of 16",
    memory="10 GB of weights in bfloat16, 5 in int8, 3 in nf4, 1 streamed, and before that 16 GB "
    "for the language model; see 'doctor'",
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
    """Load LongCat-Image-Edit from its hub id, or any LongCatImageEditPipeline from `source`.

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
    return diagnose_seeing(INFO, kind(), TRANSFORMER, PUBLISHED)


def weightless(held: Held) -> JointEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""
    vae = AUTOENCODER | ({"block_out_channels": NARROW} if held.small else {})
    return weightless_seeing(INFO, RECIPE, kind(), PUBLISHED, held, vae)


def kind() -> LongCatKind:
    """As published."""
    return LongCatKind()
