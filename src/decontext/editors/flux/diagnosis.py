"""What an editor would do on this machine: `decontext doctor` shows it.

Only its published dimensions are known here; no file is read but those that the hub's tools keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from decontext.attention import resolve_blocks
from decontext.editors._base import EditorInfo, Outlook
from decontext.editors.weights.loading import choose_device
from decontext.editors.weights.plan import (
    FLUX_ENCODER,
    TEXT_TOKENS,
    Demand,
    Dimensions,
    Encoder,
    choose_plan,
)
from decontext.errors import EditorError
from decontext.machine import free_memory

Case = tuple[str, tuple[int, int]]
CASES: tuple[Case, ...] = (("paper", (1024, 1024)), ("all", (1024, 1024)), ("double:0", (512, 512)))
"""Blocks and working sizes for which a plan is shown."""

PUBLISHED = Dimensions.from_config({"guidance_embeds": True})
WEIGHTS = (
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "vae/diffusion_pytorch_model.safetensors",
)


def diagnose_flux(
    info: EditorInfo,
    *,
    cases: Sequence[Case] = CASES,
    files: Sequence[str] = WEIGHTS,
    gated: bool = True,
    text_tokens: int = TEXT_TOKENS,
    dimensions: Dimensions = PUBLISHED,
    encoder: Encoder = FLUX_ENCODER,
) -> Outlook:
    """Plans on the best device, and what of the weights is not on this machine.

    `files` are some of the repository's; a `gated` one gives them only to who is logged in.
    `dimensions` are the published transformer's, `encoder` is its autoencoder.
    """
    device = choose_device(None)
    plans = tuple(_plan(device, dimensions, *case, text_tokens, encoder) for case in cases)
    return Outlook(plans, _missing(info, files, gated))


def _plan(
    device: torch.device,
    dimensions: Dimensions,
    blocks: str,
    size: tuple[int, int],
    text_tokens: int,
    encoder: Encoder,
) -> str:
    numbers = resolve_blocks(blocks, dimensions.double, dimensions.single)
    demand = Demand(
        max(numbers) + 1,
        len(numbers),
        (size,),
        device.type == "cuda",
        text_tokens=text_tokens,
        encoder=encoder,
        beside=encoder.parameters,
    )
    case = f"--blocks {blocks} at {size[0]} x {size[1]} on {device.type}"
    try:
        plan = choose_plan(
            dimensions, demand, precision="auto", stream=False, free=free_memory(device)
        )
    except EditorError as error:
        return f"{case}: {error}"
    return f"{case}: {plan.describe()}"


def _missing(info: EditorInfo, files: Sequence[str], gated: bool) -> tuple[str, ...]:
    from huggingface_hub import get_token, try_to_load_from_cache

    missing = []
    if not all(isinstance(try_to_load_from_cache(info.weights, name), str) for name in files):
        missing.append(
            f"missing: its weights ({info.weights}) are not in the hub's folder on this machine; "
            "they are downloaded when they are first needed, or given with --weights"
        )
        if gated and get_token() is None:
            missing.append(
                f"missing: nobody is logged in to the hub; accept the licence at "
                f"https://huggingface.co/{info.weights}, then run 'huggingface-cli login' "
                "('hf auth login' in newer versions)"
            )
    return tuple(missing)
