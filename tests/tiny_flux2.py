"""Small FLUX.2 pipelines with random weights, in the layout of the published folders.

`build_tiny_flux2("klein")` or `("dev")`; `save_tiny_flux2(folder, ...)` writes one. Nothing is
downloaded; the same seed gives the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tiny_step1x import build_tiny_tokenizer

DOUBLE_BLOCKS, SINGLE_BLOCKS = 2, 3
STATES = 16
"""Width of the text encoder; a token of the text is three of its states."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{{ message.content[0].text }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tiny_flux2(
    variant: str = "klein", *, seed: int = 0, distilled: bool = True, guided: bool | None = None
) -> Any:
    """The pipeline as an object, in float32."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer = build_tiny_tokenizer()
        tokenizer.chat_template = TEMPLATE
        transformer = diffusers.Flux2Transformer2DModel(
            in_channels=128,
            num_layers=DOUBLE_BLOCKS,
            num_single_layers=SINGLE_BLOCKS,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * STATES,
            guidance_embeds=variant == "dev" if guided is None else guided,
            axes_dims_rope=(4, 4, 4, 4),
        )
        parts = {
            "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            "vae": _autoencoder(),
            "transformer": transformer,
        }
        if variant == "klein":
            return diffusers.Flux2KleinPipeline(
                **parts,
                tokenizer=tokenizer,
                text_encoder=_qwen3(tokenizer),
                is_distilled=distilled,
            )
        # The published processor needs torchvision; its tokenizer reads text in the same way.
        return diffusers.Flux2Pipeline(
            **parts, tokenizer=tokenizer, text_encoder=_mistral(tokenizer)
        )


def save_tiny_flux2(folder: Path, variant: str = "klein", **options: Any) -> Path:
    """Write `build_tiny_flux2(variant, **options)` into `folder` and return it."""
    build_tiny_flux2(variant, **options).save_pretrained(folder)
    return folder


def _qwen3(tokenizer: Any) -> Any:
    import transformers

    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=len(tokenizer),
            bos_token_id=None,
            eos_token_id=None,
            num_hidden_layers=28,
            **_language_sizes(),
        )
    )


def _mistral(tokenizer: Any) -> Any:
    import transformers

    config = transformers.Mistral3Config(
        text_config={
            "model_type": "mistral",
            "vocab_size": len(tokenizer),
            "num_hidden_layers": 31,
            **_language_sizes(),
        },
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
    )
    return transformers.Mistral3ForConditionalGeneration(config)


def _language_sizes() -> dict[str, Any]:
    return {
        "hidden_size": STATES,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "initializer_range": 0.2,
    }


def _autoencoder() -> Any:
    import diffusers

    vae = diffusers.AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8),
        norm_num_groups=2,
        sample_size=1024,
    )
    vae.bn.running_mean.normal_(0, 0.5)
    vae.bn.running_var.uniform_(0.5, 2)
    return vae
