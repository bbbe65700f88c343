"""Write the trained parts as one folder in diffusers' layout, in half precision.

Last of the training steps; its output is what the package ships.

    python -m training.export --autoencoder WORK/decoder.pt --transformer WORK/transformer.pt \
        --out src/decontext/editors/kontext_mini_weights
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import (
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    FluxKontextPipeline,
)

from training.builds import KLEIN, add_build, read_autoencoder
from training.transformer import new_editor

SHIFT = 2.0  # of the noise schedule; fixed, because the working size is
LIMIT = 25 * 10**6  # bytes


def build(name: str, autoencoder: Path, transformer: Path) -> DiffusionPipeline:
    """The pipeline from the two checkpoints: the averaged weights of the transformer's training."""
    editor = new_editor(name)
    editor.load_state_dict(torch.load(transformer)["average"])
    parts = editor.pipeline_parts() | {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        "vae": read_autoencoder(name, autoencoder),
    }
    if name == KLEIN:
        # As the published klein, which takes no guidance; this one was never distilled.
        return Flux2KleinPipeline(**parts, is_distilled=True)
    return FluxKontextPipeline(**parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--transformer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pipeline = build(args.build, args.autoencoder, args.transformer)
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
