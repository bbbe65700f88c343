"""Write the trained parts as one FluxKontextPipeline folder, in half precision.

Last of the training steps; its output is what the package ships.

    python -m training.export --autoencoder WORK/decoder.pt --transformer WORK/transformer.pt \
        --out src/decontext/editors/kontext_mini_weights
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline

from training.autoencoder import CONFIG
from training.transformer import Editor

SHIFT = 2.0  # of the noise schedule; fixed, because the working size is
LIMIT = 25 * 10**6  # bytes


def build(autoencoder: Path, transformer: Path) -> FluxKontextPipeline:
    """The pipeline from the two checkpoints: the averaged weights of the transformer's training."""
    vae = AutoencoderKL(**CONFIG)
    vae.load_state_dict(torch.load(autoencoder)["model"])
    editor = Editor()
    editor.load_state_dict(torch.load(transformer)["average"])
    return FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        vae=vae,
        text_encoder=editor.text.clip,
        tokenizer=editor.text.clip_tokenizer,
        text_encoder_2=editor.text.t5,
        tokenizer_2=editor.text.t5_tokenizer,
        transformer=editor.transformer,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--transformer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pipeline = build(args.autoencoder, args.transformer)
    # fp16 keeps 3 digits; T5's residual stream can overflow in fp16 arithmetic, so that the
    # package computes in fp32 and only stores half precision.
    pipeline.to(torch.float16)
    pipeline.save_pretrained(args.out, safe_serialization=True)
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{size / 1e6:.1f} MB in {args.out}")
    if size > LIMIT:
        raise SystemExit(f"the folder is {size} bytes; it must be at most {LIMIT}")


if __name__ == "__main__":
    main()
