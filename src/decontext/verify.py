"""Measures what was saved: instructions and noises that were not optimised on.

The same measurement is made of the original, of the protected photo, and of the original with
random noise of the same strength. Only what the random noise does not do counts as protection.
Nothing may flatter: a blurred photo is compared with an equally blurred original, and another
picture is told as such. `verify_after` measures what is left after what sites do to photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.editors import AttendsLatents, Editor, Prepares, Prompt
from decontext.editors.several import Crew, gather
from decontext.errors import InputError
from decontext.notation import ORDINARY_SIZE, parse_working_size
from decontext.objectives import working_sizes
from decontext.photo.images import levels
from decontext.photo.sources import PhotoSource, read_pixels
from decontext.progress import OnMeasure, share
from decontext.prompts import HELD_OUT
from decontext.publishing.controls import find_blur, show_the_same, usual_change, with_noise
from decontext.publishing.transforms import Transform, parse_transform
from decontext.verdict import Measurement, Verification, weakest

SIGMAS = (0.98, 0.99, 1.0)
SEED_OFFSET = 1_000_003  # keeps these noises apart from those of an optimisation with the same seed

TRANSFORMS = ("jpeg-85", "jpeg-75", "resize-0.5", "jpeg-75+resize-0.5", "crop-5", "blur-1")
"""What `usual` stands for: what sites do to photos, and a little of what people do."""

VERSIONS = 3
"""What is measured: the original, the protected photo, and random noise."""


def count_passes(prompts: int, noises: int) -> int:
    """Passes of a measurement with so many instructions of `HELD_OUT` and noises."""
    return min(prompts, len(HELD_OUT)) * noises * VERSIONS


def verify(
    protected: PhotoSource,
    original: PhotoSource,
    editor: Editor | str | Crew | Sequence[Editor | str],
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
    turns. The photos are paths, bytes, files, PIL images, arrays or tensors, see `to_photo`. Of
    several editors it returns the verification that the photo does worst in, with the `others`.

    Raises:
        MemoryShortError: there is not enough memory.
        InputError: a file cannot be read, the pictures differ in size, or there are no such blocks.
        EditorError: the editor's weights are missing or damaged.
        AttentionError: the editor's attention was not seen.
    """
    crew = gather(editor)
    after, before = read_pixels(protected), read_pixels(original)
    chosen: dict[str, Any] = {
        "blocks": blocks,
        "prompts": prompts,
        "noises": noises,
        "seed": seed,
        "transform": transform,
        "working_size": working_size,
    }
    return weakest(
        [
            _verify(after, before, crew.turn(one), on_measure=count, **chosen)
            for one, count in zip(crew, share(on_measure, len(crew)), strict=True)
        ]
    )


def _verify(
    after: Tensor,
    before: Tensor,
    loaded: Editor,
    *,
    blocks: str,
    prompts: Sequence[str],
    noises: int,
    seed: int,
    transform: Transform | None,
    working_size: str,
    on_measure: OnMeasure | None,
) -> Verification:
    """The same of pixels, with one editor."""
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
        demonstration=loaded.info.demonstration,
        block_count=loaded.info.double_blocks + loaded.info.single_blocks,
    )


def verify_after(
    transforms: Sequence[str],
    protected: PhotoSource,
    original: PhotoSource,
    editor: Editor | str | Crew | Sequence[Editor | str],
    *,
    on_measure: OnMeasure | None = None,
    **options: Any,
) -> tuple[Verification, ...]:
    """One verification after each transform, by name; `options` are those of `verify`.

    Raises:
        InputError: there is no such transform; otherwise as `verify`.
    """
    chosen = [parse_transform(name) for name in transforms]
    crew = gather(editor)
    after, before = read_pixels(protected), read_pixels(original)
    counts = share(on_measure, len(chosen))
    return tuple(
        verify(after, before, crew, transform=change, on_measure=count, **options)
        for change, count in zip(chosen, counts, strict=True)
    )


def read_transforms(text: str) -> tuple[str, ...]:
    """Names of transforms as people write them: with commas, or `usual` for what sites do.

    Raises:
        InputError: there is no such transform.
    """
    if text.strip() == "usual":
        return TRANSFORMS
    return tuple(parse_transform(name).name for name in text.split(",") if name.strip())


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
