"""A small FluxKontextPipeline with random weights, for tests that need a real one in a moment.

`save_tiny_pipeline(folder)` writes it in the exact layout of the published editors: tiny CLIP and
T5 encoders, their tokenizers, autoencoder, transformer and scheduler, about 150,000 parameters.
Nothing is downloaded; the same seed gives the same files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel

DOUBLE_BLOCKS = 2
SINGLE_BLOCKS = 3
SAMPLE_SIZE = 64
TEXT_TOKENS = 24
WIDTH = 32


def build_tiny_pipeline(
    *,
    seed: int = 0,
    sample_size: int = SAMPLE_SIZE,
    guidance_embeds: bool = True,
    latent_channels: int = 16,
) -> Any:
    """The pipeline as an object, in float32."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip_tokenizer, t5_tokenizer = _tokenizers()
        text_encoder, text_encoder_2 = _text_encoders(clip_tokenizer, t5_tokenizer)
        transformer = diffusers.FluxTransformer2DModel(
            in_channels=4 * latent_channels,
            num_layers=DOUBLE_BLOCKS,
            num_single_layers=SINGLE_BLOCKS,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=guidance_embeds,
            axes_dims_rope=(4, 6, 6),
        )
        vae = build_tiny_autoencoder(sample_size, latent_channels)
    return diffusers.FluxKontextPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=t5_tokenizer,
        transformer=transformer,
    )


def save_tiny_pipeline(folder: Path, **options: Any) -> Path:
    """Write `build_tiny_pipeline(**options)` into `folder` and return it."""
    build_tiny_pipeline(**options).save_pretrained(folder)
    return folder


def _tokenizers() -> tuple[Any, Any]:
    """Vocabularies of single characters: enough to tell prompts apart."""
    import transformers

    characters = sorted(ByteLevel.alphabet())
    pieces = ["<|startoftext|>", "<|endoftext|>", *characters, *(c + "</w>" for c in characters)]
    clip = transformers.CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)},
        merges=[],
        model_max_length=TEXT_TOKENS,
    )
    letters = [chr(code) for code in range(33, 127)]
    scored = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    scored += [(piece, -2.0) for piece in ("▁", *letters)]
    t5 = transformers.T5TokenizerFast(vocab=scored, extra_ids=0, model_max_length=TEXT_TOKENS)
    return clip, t5


def _text_encoders(clip_tokenizer: Any, t5_tokenizer: Any) -> tuple[Any, Any]:
    import transformers

    clip = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(clip_tokenizer),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TEXT_TOKENS,
            bos_token_id=clip_tokenizer.bos_token_id,
            eos_token_id=clip_tokenizer.eos_token_id,
            pad_token_id=clip_tokenizer.pad_token_id,
        )
    )
    t5 = transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=len(t5_tokenizer),
            d_model=WIDTH,
            d_kv=16,
            d_ff=WIDTH,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )
    return clip, t5


def build_tiny_autoencoder(sample_size: int, latent_channels: int) -> Any:
    """FLUX's in small."""
    import diffusers

    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8),
        latent_channels=latent_channels,
        norm_num_groups=2,
        sample_size=sample_size,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
