"""Small language models that see pictures, with random weights, and what reads for them.

`build_tiny_processor(tokenizer)` is transformers' own processor without its part for videos, which
needs torchvision; `save_tiny_processor` writes it as the published folders have it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_step1x import build_tiny_tokenizer

PATCH = 16
"""Of the vision tower: tokens of 32 pixels, so that pictures of such sizes are not resized."""

WIDTH = 32
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{{ message.content[0].text }}{% endif %}<|im_end|>\n{% endfor %}"
)


def build_tiny_vision(*, patch: int = PATCH) -> tuple[Any, Any]:
    """A Qwen2.5-VL of two layers each with its last layer, and its tokenizer."""
    import transformers

    tokenizer = build_tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "bos_token_id": None,
            "eos_token_id": None,
            "hidden_size": WIDTH,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [2, 3, 3],
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [1],
            "patch_size": patch,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        initializer_range=0.2,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), tokenizer


def build_tiny_vision3() -> tuple[Any, Any]:
    """The same of Qwen3-VL, whose patches have the same size as published."""
    import transformers

    tokenizer = build_tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    config = transformers.Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": WIDTH,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [4, 2, 2],
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
            "initializer_range": 0.2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        initializer_range=0.2,
    )
    return transformers.Qwen3VLForConditionalGeneration(config), tokenizer


def build_tiny_processor(tokenizer: Any, *, kind: str = "Qwen2VLProcessor", **options: Any) -> Any:
    """transformers' processor of this name; the options are its image processor's."""
    import transformers

    processor = object.__new__(getattr(transformers, kind))
    processor.image_processor = _image_processor(**options)
    processor.tokenizer, processor.video_processor = tokenizer, None
    processor.chat_template = tokenizer.chat_template
    for name in ("image", "video"):
        token = f"<|{name}_pad|>"
        setattr(processor, f"{name}_token", token)
        setattr(processor, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
    return processor


def save_tiny_processor(folder: Path, tokenizer: Any, **options: Any) -> None:
    """Its configuration and the tokenizer's files."""
    tokenizer.save_pretrained(folder)
    _image_processor(**options).save_pretrained(folder)


def _image_processor(**options: Any) -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(**{"patch_size": PATCH, **options})
