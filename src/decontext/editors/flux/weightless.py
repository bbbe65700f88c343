"""FLUX.1's parts in their published sizes, without weights."""

from __future__ import annotations

from typing import Any

from decontext.editors.weights.transformer import LoadedTransformer, build_flux
from decontext.editors.weights.weightless import Held, NoText, empty_part, empty_transformer

AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "sample_size": 1024,
    "shift_factor": 0.1159,
    "scaling_factor": 0.3611,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
"""Of FLUX.1's autoencoder, what differs from diffusers' defaults."""

TRANSFORMER = {"guidance_embeds": True, "num_layers": 19, "num_single_layers": 38}
TEXT = {"embeddings": (1, 512, 4096), "pooled": (1, 768)}


def flux_transformer(editor: str, held: Held, *, guided: bool = True) -> LoadedTransformer:
    """FLUX.1's; `guided` ones take guidance as an input."""
    config = TRANSFORMER | {"guidance_embeds": guided}
    return empty_transformer(editor, build_flux, config, held)


def flux_autoencoder(held: Held) -> Any:
    return empty_part("AutoencoderKL", AUTOENCODER, held)


def flux_pipeline(transformer: LoadedTransformer, held: Held) -> Any:
    """A FluxKontextPipeline without text encoders."""
    import diffusers

    others = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
    kind: Any = diffusers.FluxKontextPipeline
    scheduler: Any = diffusers.FlowMatchEulerDiscreteScheduler
    return kind(
        scheduler=scheduler(),
        vae=flux_autoencoder(held),
        transformer=transformer.model,
        **dict.fromkeys(others),
    )


def flux_text(held: Held) -> NoText:
    return NoText(held, **TEXT)
