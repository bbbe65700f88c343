"""A small LongCat-Image-Edit pipeline with random weights, in the layout of the published folder.

Nothing is downloaded; the same seed gives the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_models import build_tiny_autoencoder
from tiny_qwen import save_seeing
from tiny_vision import WIDTH, build_tiny_processor, build_tiny_vision

DOUBLE_BLOCKS, SINGLE_BLOCKS = 2, 3


def build_tiny_longcat(*, seed: int = 0) -> Any:
    """The pipeline as an object, in float32."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, tokenizer = build_tiny_vision()
        transformer = diffusers.LongCatImageTransformer2DModel(
            num_layers=DOUBLE_BLOCKS,
            num_single_layers=SINGLE_BLOCKS,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
        )
        vae = build_tiny_autoencoder(64, 16)
    return diffusers.LongCatImageEditPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=model,
        tokenizer=tokenizer,
        text_processor=build_tiny_processor(tokenizer),
        transformer=transformer,
    )


def save_tiny_longcat(folder: Path, **options: Any) -> Path:
    """Write `build_tiny_longcat(**options)` into `folder` and return it."""
    return save_seeing(build_tiny_longcat(**options), folder, "text_processor")
