"""Measure what the autoencoder alone leaves of a person: it bounds every edit.

    python -m training.round_trip --people WORK/held --autoencoder WORK/autoencoder.pt

For 24 held-out rendered people, four pictures each, the mean-centred SFace cosine between a picture
and its round trip and the PSNR; for the two portraits the plain cosine between the whole photo and
the round trip of what the editor sees of it, about 128 x 128 pixels. The people are the middle 128
pixels of the renders, or, with `--whole`, all 160 of them as the editor sees those, reduced to 128.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from decontext.evaluation.identity import FaceRecogniser, similarity
from decontext.photo.portraits import PORTRAITS
from training.builds import add_build, read_autoencoder
from training.datasets import MIDDLE, load_people

PEOPLE, RENDERS = 24, (0, 1, 7, 8)


@torch.no_grad()
def round_trip(model: Any, picture: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 -> the same after encoding and decoding."""
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    output = model.decode(model.encode(pixels).latent_dist.mode()).sample
    return ((output[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    parser.add_argument("--people", type=Path, required=True, help="folder of held-out people")
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--whole", action="store_true", help="reduce the whole renders to 128 px")
    args = parser.parse_args()
    model, recogniser = read_autoencoder(args.build, args.autoencoder), FaceRecogniser()
    renders = load_people(args.people)["pictures"][:PEOPLE, RENDERS]
    renders = renders.reshape(-1, *renders.shape[2:])
    shown = list(renders if args.whole else np.ascontiguousarray(renders[:, MIDDLE, MIDDLE]))
    before = [
        np.asarray(Image.fromarray(picture).resize((128, 128), Image.Resampling.LANCZOS))
        for picture in shown
    ]
    after = [round_trip(model, picture) for picture in before]
    psnr = [
        -10 * np.log10(np.square((a.astype(float) - b) / 255).mean())
        for a, b in zip(before, after, strict=True)
    ]
    kept = similarity(recogniser.embed(shown), recogniser.embed(after), centred=True)
    print(
        f"rendered people: identity {np.nanmean(kept):.3f}, worst {np.nanmin(kept):.3f}, "
        f"no face in {np.isnan(kept).sum()} of {kept.size}, {np.mean(psnr):.2f} dB"
    )
    for path in PORTRAITS:
        photo = Image.open(path).convert("RGB")
        side = (128 * 128 / (photo.width * photo.height)) ** 0.5
        size = (8 * round(photo.width * side / 8), 8 * round(photo.height * side / 8))
        small = np.asarray(photo.resize(size, Image.Resampling.LANCZOS))
        whole, seen, kept = recogniser.embed([np.asarray(photo), small, round_trip(model, small)])
        print(
            f"{path.stem}: the photo and its round trip {similarity(whole, kept):.3f}, "
            f"the photo and itself at {size[0]} x {size[1]} {similarity(whole, seen):.3f}, "
            f"that and the round trip {similarity(seen, kept):.3f}"
        )


if __name__ == "__main__":
    main()
