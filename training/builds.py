"""The autoencoders of the embedded editors, each with a seed and a width of its own.

`kontext-mini` has FLUX.1's class, `klein-mini` FLUX.2's: its latents are cut into patches of two
by two and normalised by the statistics that a batch norm carries.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2
from torch import Tensor

KONTEXT, KLEIN = "kontext-mini", "klein-mini"
BUILDS = (KONTEXT, KLEIN)
SEEDS = {KONTEXT: 0, KLEIN: 41}
"""Of the first weights and, times a million, of the order of samples."""

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (16, 32, 64),
    "layers_per_block": 1,
    "latent_channels": 16,
    "norm_num_groups": 8,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "mid_block_add_attention": False,
    "sample_size": 128,
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
}
KLEIN_CONFIG = {name: value for name, value in CONFIG.items() if "factor" not in name} | {
    "block_out_channels": (16, 40, 80),
    "latent_channels": 20,
}


def autoencoder(build: str, seed: int | None = None) -> Any:
    """The autoencoder of a build, with the first weights of a seed; None: of the build's own."""
    torch.manual_seed(seed_of(build, seed))
    return AutoencoderKLFlux2(**KLEIN_CONFIG) if build == KLEIN else AutoencoderKL(**CONFIG)


def read_autoencoder(build: str, path: Path) -> Any:
    """From a checkpoint of `training.autoencoder` or `training.latents`, or an exported folder."""
    model = autoencoder(build)
    if path.is_dir():
        return type(model).from_pretrained(path).float().eval()
    state = torch.load(path)
    model.load_state_dict(state.get("model", state))
    return model.eval()


def patches(latents: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 4 C, H/2, W/2), channel by channel, as Flux2KleinPipeline does it."""
    batch, channels, height, width = latents.shape
    latents = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return latents.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def from_patches(latents: Tensor) -> Tensor:
    """The inverse of `patches`."""
    batch, channels, height, width = latents.shape
    latents = latents.view(batch, channels // 4, 2, 2, height, width)
    return latents.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels // 4, 2 * height, 2 * width)


def write_statistics(model: AutoencoderKLFlux2, latents: Tensor) -> None:
    """Let the batch norm carry mean and variance of these latents' patches."""
    cut = patches(latents)
    model.bn.running_mean.copy_(cut.mean((0, 2, 3)))
    model.bn.running_var.copy_(cut.var((0, 2, 3)))


def normalised(model: AutoencoderKLFlux2, latents: Tensor) -> Tensor:
    """Latents as the transformer sees them, still laid out as a picture."""
    mean, variance = (
        statistic.view(1, -1, 1, 1) for statistic in (model.bn.running_mean, model.bn.running_var)
    )
    deviation = torch.sqrt(variance + model.config.batch_norm_eps)
    return from_patches((patches(latents) - mean) / deviation)


@dataclass(frozen=True)
class Clock:
    """How far a training is, 0 to 1: by its steps, or by the time until it has to be done."""

    steps: int
    began: float
    finish: float | None

    def progress(self, step: int) -> float:
        done = step / self.steps
        if self.finish is None:
            return done
        return max(done, (time.time() - self.began) / (self.finish - self.began))


def add_finish(parser: argparse.ArgumentParser) -> None:
    """The option that ends a training by the time, on a machine that others use too."""
    parser.add_argument(
        "--finish",
        type=float,
        help="seconds since 1970 (date +%%s) at which the learning rate has fallen, if earlier",
    )


def add_build(parser: argparse.ArgumentParser) -> None:
    """The option that says which editor is being trained."""
    parser.add_argument("--build", choices=BUILDS, default=KONTEXT, help="editor to train")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """The option that makes another editor of the same build."""
    parser.add_argument(
        "--seed",
        type=int,
        help=f"of first weights and of the order of samples (default: the build's, {SEEDS})",
    )


def seed_of(build: str, seed: int | None) -> int:
    """The seed that was asked for, or where that is None the build's own."""
    return SEEDS[build] if seed is None else seed
