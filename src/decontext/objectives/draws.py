"""What is drawn anew in every step: instruction, noise level and noise.

The signature that all objectives share, and the record of the passes that a value is the mean of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.editors import EditorInfo, Prompt
from decontext.prompts import OPTIMISE
from decontext.settings import ProtectSettings

Objective = Callable[[Tensor, torch.Generator], Tensor]
"""Picture `(1, 3, height, width)` in [0, 1] and source of randomness to a scalar to minimise."""

Draw = tuple[Prompt, float, Tensor]
"""Instruction, noise level and target latents of one pass."""


CHECK_SEED = 20_251_216
"""Of the fixed draws by which pictures are compared."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Which passes of an editor a value is the mean of.

    Attributes:
        prompts: instructions to draw from.
        blocks: numbers of joint-attention calls, see `attention.blocks.resolve_blocks`.
        sigma_range: noise levels to draw from, within [0, 1].
        samples: draws that a value is the mean of, at each of the sizes.
        working_sides: sizes at which the editor sees the photo, see `settings`.
        refresh_text, count_vlm_tokens: see `instructions.Instructions`.
    """

    blocks: Sequence[int]
    prompts: Sequence[str] = OPTIMISE
    sigma_range: tuple[float, float] = (0.98, 1.0)
    samples: int = 1
    working_sides: Sequence[int | None] = (None,)
    refresh_text: int = 0
    count_vlm_tokens: bool = False


def choose_passes(
    info: EditorInfo,
    settings: ProtectSettings,
    *,
    prompts: Sequence[str] = OPTIMISE,
    samples: int | None = None,
) -> Passes:
    """The passes that the settings name; `samples` replaces their `samples_per_step`.

    Raises:
        InputError: the editor has no such blocks.
    """
    return Passes(
        blocks=resolve_blocks(settings.blocks, info.double_blocks, info.single_blocks),
        prompts=prompts,
        sigma_range=settings.sigma_range,
        samples=samples or settings.samples_per_step,
        working_sides=settings.working_sides,
        refresh_text=settings.refresh_text,
        count_vlm_tokens=settings.count_vlm_tokens,
    )


def draw_prompt(prompts: Sequence[str], generator: torch.Generator) -> str:
    """One of the instructions, each with equal odds."""
    index = torch.randint(len(prompts), (), generator=generator, device=generator.device)
    return prompts[int(index)]


def draw_sigma(sigma_range: tuple[float, float], generator: torch.Generator) -> float:
    """A noise level, uniform within the range."""
    low, high = sigma_range
    share = torch.rand((), dtype=torch.float64, generator=generator, device=generator.device)
    return low + (high - low) * float(share)


def mean(values: Iterable[Tensor]) -> Tensor:
    """Mean of scalars."""
    return torch.stack(list(values)).mean()
