"""Measures what was saved: instructions and noises that were not optimised on.

The same measurement is made of the original, of the protected photo, and of the original with
random noise of the same strength. Only what the random noise does not do counts as protection.
Nothing may flatter: a blurred photo is compared with an equally blurred original, and another
picture is told as such. `verify_after` measures what is left after what sites do to photos.
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
from decontext.editors import AttendsLatents, Editor, Prepares, Prompt, load_editor
from decontext.errors import InputError
from decontext.objectives import working_sizes
from decontext.photo.images import Photo, levels, read_pixels
from decontext.prompts import HELD_OUT
from decontext.publishing.controls import find_blur, show_the_same, usual_change, with_noise
from decontext.publishing.transforms import Transform, parse_transform
from decontext.settings import ORDINARY_SIZE, parse_working_size

SIGMAS = (0.98, 0.99, 1.0)
SEED_OFFSET = 1_000_003  # keeps these noises apart from those of an optimisation with the same seed
LEAST_DROP, LEAST_RATIO, LEAST_SHARE = 0.10, 3.0, 0.75

TRANSFORMS = ("jpeg-85", "jpeg-75", "resize-0.5", "jpeg-75+resize-0.5", "crop-5", "blur-1")
"""What `usual` stands for: what sites do to photos, and a little of what people do."""

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
    `blur` is by how many pixels the photo is blurred: then `original` and `random` were measured
    on the original blurred alike. `same_photo` is false where it shows something else.
    `transform` names what was done to all of them before they were measured.
    """

    editor: str
    blocks: tuple[int, ...]
    levels: int
    measurements: tuple[Measurement, ...]
    random_levels: int = 0
    blur: float = 0.0
    same_photo: bool = True
    transform: str = "none"

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
            and self.same_photo
            and self.drop >= LEAST_DROP
            and self.drop >= LEAST_RATIO * self.random_drop
            and self.share_fallen >= LEAST_SHARE
        )

    @property
    def reason(self) -> str:
        """Why the verdict is as it is, in plain words."""
        if self.levels == 0:
            return "it is an unchanged copy of the original"
        if not self.same_photo:
            return "it is no version of the original, but another picture"
        fell = f"the attention to the photo fell by {_percent(self.drop)}"
        if self.blur:
            fell += f" beyond what blurring by {self.blur:g} pixels does, as this photo is blurred"
        if self.drop < LEAST_DROP:
            return fell if self.drop > 0 else "the attention to the photo did not fall"
        if self.drop < LEAST_RATIO * self.random_drop:
            return f"{fell}, but random noise alone does {_percent(self.random_drop)}"
        if self.share_fallen < LEAST_SHARE:
            return f"{fell}, but only in {_percent(self.share_fallen)} of the measurements"
        return f"{fell}; random noise of the same strength does {_percent(self.random_drop)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a report, spread included."""
        return {
            "protected": self.protected,
            "reason": self.reason,
            "editor": self.editor,
            "transform": self.transform,
            "blur": self.blur,
            "same_photo": self.same_photo,
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
    transform: Transform | None = None,
    working_size: str = ORDINARY_SIZE,
    on_measure: OnMeasure | None = None,
) -> Verification:
    """Measure whether a photo is protected against an editor, by default as it is.

    With a `transform` the protected photo, the original and the one with random noise are all
    measured after it. With several working sizes (see `ProtectSettings`) the measurements take
    turns.

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
    blur = find_blur(before, after)
    reference = parse_transform(f"blur-{blur}")(before) if blur else before
    strength = usual_change(reference, after)
    change = transform or parse_transform("none")
    versions = (reference, after, with_noise(reference, strength, SEED_OFFSET + seed))
    pictures = tuple(change(version) for version in versions)

    sides = parse_working_size(working_size)
    if isinstance(loaded, Prepares):
        sizes = working_sizes(loaded, pictures[0], sides)
        loaded.prepare(prompts, numbers, sizes=sizes, images=pictures)

    @lru_cache(maxsize=len(pictures))  # one instruction at a time, for all its noises
    def encode(text: str, index: int) -> Prompt:
        return loaded.encode_prompt(text, pictures[index])

    total, measurements = len(prompts) * noises * len(pictures), []
    for number in range(len(prompts) * noises):
        text, sigma = prompts[number // noises], SIGMAS[number % len(SIGMAS)]
        found = []
        for index, picture in enumerate(pictures):
            prompt = encode(text, index)
            side = sides[number % len(sides)]
            found.append(_proportion(loaded, picture, prompt, sigma, numbers, seed + number, side))
            if on_measure is not None:
                on_measure(len(pictures) * number + len(found), total)
        measurements.append(Measurement(text, sigma, *found))
    return Verification(
        editor=loaded.info.name,
        blocks=numbers,
        levels=distance,
        measurements=tuple(measurements),
        random_levels=strength,
        blur=blur,
        same_photo=show_the_same(reference, after),
        transform=change.name,
    )


def verify_after(
    transforms: Sequence[str],
    protected: Photo | str | Path | Tensor,
    original: Photo | str | Path | Tensor,
    editor: Editor | str,
    *,
    on_measure: OnMeasure | None = None,
    **options: Any,
) -> tuple[Verification, ...]:
    """One verification after each transform, by name; `options` are those of `verify`.

    Raises:
        InputError: there is no such transform; otherwise as `verify`.
    """
    chosen = [parse_transform(name) for name in transforms]
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    after, before = read_pixels(protected), read_pixels(original)

    def count(index: int) -> OnMeasure | None:
        if on_measure is None:
            return None
        return lambda done, total: on_measure(index * total + done, len(chosen) * total)

    return tuple(
        verify(after, before, loaded, transform=change, on_measure=count(index), **options)
        for index, change in enumerate(chosen)
    )


def read_transforms(text: str) -> tuple[str, ...]:
    """Names of transforms as people write them: with commas, or `usual` for what sites do.

    Raises:
        InputError: there is no such transform.
    """
    if text.strip() == "usual":
        return TRANSFORMS
    return tuple(parse_transform(name).name for name in text.split(",") if name.strip())


def _percent(value: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, 2) + 0.0:.0%}"


def _proportion(
    editor: Editor,
    picture: Tensor,
    prompt: Prompt,
    sigma: float,
    blocks: Sequence[int],
    seed: int,
    side: int | None,
) -> float:
    generator = torch.Generator().manual_seed(SEED_OFFSET + seed)
    (size,) = working_sizes(editor, picture, (side,))
    with torch.no_grad():
        noise = editor.draw_noise(size, generator)
        if not isinstance(editor, AttendsLatents):
            return float(editor.attend(picture, prompt, sigma, noise, blocks).mean())
        context = editor.encode_image(picture, size)
        return float(editor.attend_latents(context, prompt, sigma, noise, blocks).mean())
