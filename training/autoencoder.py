"""Train the autoencoder of an embedded editor: pictures -> latents -> pictures.

Second of the training steps (see `training/README.md`). Resumable: run it again with the same
arguments and it goes on from its last checkpoint. Everything random is seeded by the step number,
so that an interrupted run and an uninterrupted one see the same pictures.

    python -m training.autoencoder --people WORK/people --out WORK/autoencoder.pt --steps 4000
    python -m training.autoencoder ... --decoder-only --steps 6000    # encoder frozen, go on
    python -m training.autoencoder ... --start-from src/decontext/editors/kontext_mini_weights/vae
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from training.builds import (
    Clock,
    add_build,
    add_finish,
    add_seed,
    autoencoder,
    read_autoencoder,
    seed_of,
)
from training.datasets import MIDDLE, load_people, photo_pool
from training.pictures import procedural

CROP = 64
BATCH = 16
PEOPLE_SHARE, PHOTO_SHARE = 0.62, 0.28  # the rest is procedural
SMALL_SHARE = 0.5  # of the people
LATENT_NOISE = 0.05  # the transformer's output is never exact: the decoder must bear that


class Crops:
    """Random crops of people, photographs and procedural pictures, as (N, 3, 64, 64) in [-1, 1]."""

    def __init__(self, people: np.ndarray, photos: np.ndarray):
        self.people, self.photos = people, photos

    def _picture(self, rng: np.random.Generator) -> np.ndarray:
        kind = rng.random()
        if kind < PEOPLE_SHARE:
            person = self.people[rng.integers(len(self.people))]
            picture = person[rng.integers(len(person))].astype(np.float32) / 255
            if rng.random() < 0.3:
                contrast, shift = rng.uniform(0.6, 1.4), rng.uniform(-0.2, 0.2, 3)
                picture = np.clip((picture - 0.5) * contrast + 0.5 + shift, 0, 1)
            return self._shrink(picture, rng) if rng.random() < SMALL_SHARE else picture
        if kind < PEOPLE_SHARE + PHOTO_SHARE:
            return self.photos[rng.integers(len(self.photos))].astype(np.float32) / 255
        return procedural(rng, 160)

    @staticmethod
    def _shrink(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The whole person smaller: in many photographs a face is 30 of 128 pixels wide."""
        side = int(rng.integers(CROP + 4, 140))
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        picture = self._picture(rng)
        room = picture.shape[0] - CROP
        # Two thirds of the crops lie around the middle, where the faces are.
        low, high = (room // 4, 3 * room // 4) if rng.random() < 0.66 else (0, room)
        top, left = rng.integers(low, high + 1, size=2)
        crop = picture[top : top + CROP, left : left + CROP]
        return crop[:, ::-1] if rng.random() < 0.5 else crop

    def batch(self, step: int, size: int = BATCH) -> Tensor:
        rng = np.random.default_rng([1, step])
        crops = np.stack([self._crop(rng) for _ in range(size)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float() * 2 - 1


def reconstruction_loss(output: Tensor, target: Tensor, latents: Tensor) -> Tensor:
    """L1 + 2 MSE + 0.5 gradient L1 + a weak pull of the latents towards zero."""
    error = output - target
    edges = (error[..., 1:] - error[..., :-1]).abs().mean()
    edges = edges + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    pull = 1e-3 * latents.square().mean()
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * edges + pull


def learning_rate(step: int, progress: float, peak: float) -> float:
    """Warm-up over 50 steps, then a cosine down to 1 % of the peak."""
    cosine = 0.5 * (1 + np.cos(np.pi * min(1.0, progress)))
    return float(peak * min(1.0, (step + 1) / 50) * (0.99 * cosine + 0.01))


def round_trip_psnr(model: Any, pictures: Tensor) -> float:
    with torch.no_grad():
        latents = model.encode(pictures).latent_dist.mode()
        error = (model.decode(latents).sample.clamp(-1, 1) - pictures) / 2
    return float((-10 * error.square().mean((1, 2, 3)).log10()).mean())


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    people = load_people(args.people)["pictures"]
    held_out, people = people[-40:], people[:-40]
    check = torch.from_numpy(held_out[:, 0, MIDDLE, MIDDLE]).permute(0, 3, 1, 2).float() / 127.5 - 1
    crops = Crops(people, photo_pool(1500, 160, seed=2))
    model = autoencoder(args.build, args.seed).to(memory_format=torch.channels_last)
    if args.decoder_only:
        model.encoder.requires_grad_(False)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, args.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    start, first = 0, time.time()
    if args.out.exists():
        state = torch.load(args.out)
        model.load_state_dict(state["model"])
        if state["decoder_only"] == args.decoder_only:
            optimiser.load_state_dict(state["optimiser"])
            start, first = state["step"], state.get("began", first)
    elif args.start_from:
        model.load_state_dict(read_autoencoder(args.build, args.start_from).state_dict())
    print("parameters", sum(p.numel() for p in model.parameters()), "from step", start, flush=True)
    clock, began = Clock(args.steps, first, args.finish), time.time()
    for step in range(start, args.steps):
        progress = clock.progress(step)
        other = args.seed_offset + 10**6 * (seed_of(args.build, args.seed) + args.decoder_only)
        pictures = crops.batch(step + other, args.batch)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        noise = torch.Generator().manual_seed(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            latents = model.encode(pictures).latent_dist.mode()
            noisy = latents + LATENT_NOISE * torch.randn(latents.shape, generator=noise)
            output = model.decode(noisy).sample
        loss = reconstruction_loss(output.float(), pictures, latents.float())
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, progress, args.rate)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if step % 100 == 99 or step == args.steps - 1 or progress >= 1:
            psnr = round_trip_psnr(model, check)
            spread = float(latents.std())
            print(
                f"step {step + 1} {time.time() - began:.0f} s loss {loss.item():.4f} "
                f"latent std {spread:.2f} held-out people {psnr:.2f} dB",
                flush=True,
            )
            state = {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step + 1,
                "decoder_only": args.decoder_only,
                "began": first,
            }
            torch.save(state, args.out.with_suffix(".part"))
            args.out.with_suffix(".part").replace(args.out)
        if progress >= 1:
            break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    add_seed(parser)
    parser.add_argument("--people", type=Path, required=True, help="folder of rendered people")
    parser.add_argument(
        "--out", type=Path, required=True, help="checkpoint to write and go on from"
    )
    parser.add_argument(
        "--start-from", type=Path, help="exported autoencoder to begin a second round with"
    )
    parser.add_argument("--seed-offset", type=int, default=0, help="other crops in a second round")
    parser.add_argument("--steps", type=int, default=4000)
    add_finish(parser)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast; worth it with AVX512-BF16")
    parser.add_argument("--decoder-only", action="store_true", help="freeze the encoder")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
