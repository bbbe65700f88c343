"""Small Qwen-Image-Edit pipelines with random weights, in the layout of the published folders.

`build_tiny_qwen(several)` is the pipeline as an object, with transformers' own processor;
`save_tiny_qwen(folder, several)` writes one; the same of Qwen-Image-2.1. Nothing is downloaded; the
same seed gives the same weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny_vision import (
    WIDTH,
    build_tiny_processor,
    build_tiny_vision,
    build_tiny_vision3,
    save_tiny_processor,
)

BLOCKS = 5


def build_tiny_qwen(several: bool = True, *, seed: int = 0, zero_cond_t: bool = False) -> Any:
    """The pipeline as an object, in float32; `several` pictures, or one."""
    import diffusers

    kind = diffusers.QwenImageEditPlusPipeline if several else diffusers.QwenImageEditPipeline
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, tokenizer = build_tiny_vision()
        transformer = diffusers.QwenImageTransformer2DModel(
            num_layers=BLOCKS,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
            zero_cond_t=zero_cond_t,
        )
        for name, weight in transformer.named_parameters():
            if "_mod." in name:  # or the blocks would do next to nothing
                weight.data.normal_(0, 0.3)
        vae = diffusers.AutoencoderKLQwenImage(base_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1)
    return kind(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=model,
        tokenizer=tokenizer,
        processor=build_tiny_processor(tokenizer),
        transformer=transformer,
    )


def save_tiny_qwen(folder: Path, several: bool = True, **options: Any) -> Path:
    """Write `build_tiny_qwen(several, **options)` into `folder` and return it."""
    return save_seeing(build_tiny_qwen(several, **options), folder, "processor")


def build_tiny_causal(*, seed: int = 0, sample_sigmas: list[float] | None = None) -> Any:
    """Qwen-Image-2.1 as an object, in float32."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, tokenizer = build_tiny_vision3()
        transformer = diffusers.QwenImage21Transformer2DModel(
            in_channels=64,
            num_layers=BLOCKS,
            attention_head_dim=16,
            num_attention_heads=2,
            context_in_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
        )
        transformer.modulation[1].weight.data.normal_(0, 0.3)
        vae = diffusers.AutoencoderKLQwenImage21(
            base_dim=4, decoder_base_dim=4, dim_mult=[1, 1, 2, 2, 2], num_res_blocks=1
        )
    return diffusers.QwenImage21Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=model,
        processor=build_tiny_processor(tokenizer, kind="Qwen3VLProcessor"),
        transformer=transformer,
        sample_sigmas=sample_sigmas,
    )


def save_tiny_causal(folder: Path, **options: Any) -> Path:
    """Write `build_tiny_causal(**options)` into `folder` and return it."""
    return save_seeing(build_tiny_causal(**options), folder, "processor")


def save_seeing(pipeline: Any, folder: Path, processor: str) -> Path:
    """Write a pipeline whose processor transformers cannot write without torchvision."""
    for name, part in pipeline.components.items():
        if name != processor:
            part.save_pretrained(folder / name)
    save_tiny_processor(folder / processor, getattr(pipeline, processor).tokenizer)
    index = {"_class_name": type(pipeline).__name__, "_diffusers_version": "0.42.1"}
    index |= {
        name: [type(part).__module__.split(".")[0], type(part).__name__]
        for name, part in pipeline.components.items()
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
