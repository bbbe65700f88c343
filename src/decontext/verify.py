"""Measures what was saved: instructions and noises that were not optimised on.

The same measurement is made of the original, of the protected photo, and of the original with
random noise of the same strength. Only what the random noise does not do counts as protection.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.editors import Editor, Prompt, load_editor
from decontext.errors import InputError
from decontext.images import Photo, levels, read_pixels
from decontext.prompts import HELD_OUT
from decontext.settings import LEVELS

SIGMAS = (0.98, 0.99, 1.0)
MOST_OF_THE_VALUES = 0.99
SEED_OFFSET = 1_000_003  # keeps these noises apart from those of an optimisation with the same seed
LEAST_DROP, LEAST_RATIO, LEAST_SHARE = 0.10, 3.0, 0.75

OnMeasure = Callable[[int, int], None]
"""Called with (passes done, passes in all)."""


@dataclass(frozen=True)
class Measurement:
    """Context proportion of one instruction and noise, in [0, 1], mean over the blocks."""

    instruction: str
    sigma: float
    original: float
    protected: float
    random: float


@dataclass(frozen=True)
class Verification:
    """What was measured, and what follows.

    `protected` says: the mean fell by at least 10 % of what it was, at least three times as far as
    under random noise of the same strength, and in at least 75 % of the measurements. It holds for
    this editor only, and is no promise about what somebody does to the photo later.

    `levels` is the largest change of a colour value, `random_levels` that of the random noise: the
    one that 99 % of the changes stay within, as saving to JPEG changes single values far more.
    """

    editor: str
    blocks: tuple[int, ...]
    levels: int
    measurements: tuple[Measurement, ...]
    random_levels: int = 0

    @property
    def original(self) -> float:
        """Mean context proportion of the original."""
        return statistics.fmean(m.original for m in self.measurements)

    @property
    def protected_mean(self) -> float:
        """Mean context proportion of the protected photo."""
        return statistics.fmean(m.protected for m in self.measurements)

    @property
    def random(self) -> float:
        """Mean context proportion of the original under random noise of the same strength."""
        return statistics.fmean(m.random for m in self.measurements)

    @property
    def drop(self) -> float:
        """By what part the proportion fell; 0.4 means to 60 % of what it was."""
        return 1 - self.protected_mean / self.original if self.original else 0.0

    @property
    def random_drop(self) -> float:
        """The same for random noise."""
        return 1 - self.random / self.original if self.original else 0.0

    @property
    def share_fallen(self) -> float:
        """Part of the measurements in which the proportion fell."""
        return statistics.fmean(float(m.protected < m.original) for m in self.measurements)

    @property
    def protected(self) -> bool:
        """Whether the photo measures as protected, by the rule of the class."""
        return (
            self.levels > 0
            and self.drop >= LEAST_DROP
            and self.drop >= LEAST_RATIO * self.random_drop
            and self.share_fallen >= LEAST_SHARE
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report, spread included."""
        return {
            "protected": self.protected,
            "editor": self.editor,
            "blocks": list(self.blocks),
            "levels": self.levels,
            "random_levels": self.random_levels,
            "context_proportion": {
                name: {"mean": statistics.fmean(v), "standard_deviation": statistics.pstdev(v)}
                for name, v in {
                    "original": [m.original for m in self.measurements],
                    "protected": [m.protected for m in self.measurements],
                    "random_noise": [m.random for m in self.measurements],
                }.items()
            },
            "drop": self.drop,
            "random_drop": self.random_drop,
            "share_fallen": self.share_fallen,
            "measurements": [asdict(m) for m in self.measurements],
        }


def verify(
    protected: Photo | str | Path | Tensor,
    original: Photo | str | Path | Tensor,
    editor: Editor | str,
    *,
    blocks: str = "all",
    prompts: Sequence[str] = HELD_OUT,
    noises: int = 2,
    seed: int = 0,
    on_measure: OnMeasure | None = None,
) -> Verification:
    """Measure whether a photo is protected against an editor.

    Raises:
        InputError: a file cannot be read, the pictures differ in size, or there are no such blocks.
        EditorError: the editor's weights are missing or damaged.
        AttentionError: the editor's attention was not seen.
    """
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    after, before = read_pixels(protected), read_pixels(original)
    distance = levels(before, after)
    if not prompts or noises < 1:
        raise InputError("there must be an instruction and a noise to measure with.")
    numbers = resolve_blocks(blocks, loaded.info.double_blocks, loaded.info.single_blocks)
    strength = _usual_change(before, after)
    pictures = (before, after, with_noise(before, strength, seed))

    @lru_cache(maxsize=len(pictures))  # one instruction at a time, for all its noises
    def encode(text: str, index: int) -> Prompt:
        return loaded.encode_prompt(text, pictures[index])

    total, measurements = len(prompts) * noises * len(pictures), []
    for number in range(len(prompts) * noises):
        text, sigma = prompts[number // noises], SIGMAS[number % len(SIGMAS)]
        found = []
        for index, picture in enumerate(pictures):
            prompt = encode(text, index)
            found.append(_proportion(loaded, picture, prompt, sigma, numbers, seed + number))
            if on_measure is not None:
                on_measure(len(pictures) * number + len(found), total)
        measurements.append(Measurement(text, sigma, *found))
    return Verification(loaded.info.name, numbers, distance, tuple(measurements), strength)


def _proportion(
    editor: Editor, picture: Tensor, prompt: Prompt, sigma: float, blocks: Sequence[int], seed: int
) -> float:
    generator = torch.Generator().manual_seed(SEED_OFFSET + seed)
    size = editor.working_size(picture.shape[-1], picture.shape[-2])
    with torch.no_grad():
        noise = editor.draw_noise(size, generator)
        return float(editor.attend(picture, prompt, sigma, noise, blocks).mean())


def _usual_change(before: Tensor, after: Tensor) -> int:
    """The smallest number of levels that most of the colour values changed by at most."""
    changes = (after - before).mul_(LEVELS).round_().abs_().to(torch.uint8).flatten()
    counts = torch.bincount(changes, minlength=LEVELS + 1).cumsum(0)
    return int((counts < MOST_OF_THE_VALUES * changes.numel()).sum())


def with_noise(picture: Tensor, strength: int, seed: int) -> Tensor:
    """The picture with every colour value changed by `strength` levels, up or down at random."""
    generator = torch.Generator().manual_seed(SEED_OFFSET + seed)
    signs = torch.randint(0, 2, picture.shape, generator=generator, dtype=torch.float32)
    return signs.mul_(2).sub_(1).mul_(strength / LEVELS).add_(picture).clamp_(0, 1)
