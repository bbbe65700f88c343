"""Figures that others published, each with what it was measured on. None was measured by us.

Source of all: arXiv 2512.16625v2, tables and text; recogniser ArcFace (ISM, a cosine), 512 x 512
pixels, one A800 of 80 GB.
"""

from __future__ import annotations

from dataclasses import dataclass

PHOTO, PORTRAIT, MIRROR = (
    "a photo of this person",
    "a dslr portrait of this person",
    "the person is looking at the mirror",
)
"""Instructions that the paper names figures for. The third is its worst one. The paper abbreviates
them; the wordings are ours."""


@dataclass(frozen=True)
class Published:
    """One figure: of a part of a protocol, a version in it, and an instruction.

    An empty instruction: several, or the paper does not say which.
    """

    part: str
    version: str
    instruction: str
    figure: str
    value: float
    editor: str
    people: str


_FLUX, _CELEBA, _VGG = "FLUX.1 Kontext [dev]", "CelebA-HQ", "VGGFace2"


def _isms(
    part: str, version: str, instruction: str, values: dict[str, float]
) -> tuple[Published, ...]:
    return tuple(
        Published(part, version, instruction, "ISM", value, _FLUX, people)
        for people, value in values.items()
    )


FIGURES: tuple[Published, ...] = (
    *_isms("main", "original", PHOTO, {_CELEBA: 0.79, _VGG: 0.78}),
    *_isms("main", "decontext", PHOTO, {_CELEBA: 0.12, _VGG: 0.16}),
    *_isms("main", "original", PORTRAIT, {_CELEBA: 0.61, _VGG: 0.71}),
    *_isms("main", "decontext", PORTRAIT, {_CELEBA: 0.20, _VGG: 0.23}),
    *_isms("main", "original", MIRROR, {_CELEBA: 0.72}),
    *_isms("main", "decontext", MIRROR, {_CELEBA: 0.36}),
    Published("main", "original", "", "CLIP-I", 0.95, _FLUX, _CELEBA),
    Published("main", "decontext", "", "CLIP-I", 0.51, _FLUX, _CELEBA),
    Published("main", "decontext", "", "FDFR", 0.0, _FLUX, _CELEBA),
    *_isms("baseline", "diff-pgd", "", {_CELEBA: 0.68}),
    *_isms("budgets", "0.05", "", {_CELEBA: 0.36}),
    *_isms("budgets", "0.1", "", {_CELEBA: 0.12}),
    *_isms("budgets", "0.15", "", {_CELEBA: 0.11}),
    *_isms("blocks", "double", "", {_CELEBA: 0.52}),
    *_isms("blocks", "first singles", "", {_CELEBA: 0.13}),
    *_isms("blocks", "last singles", "", {_CELEBA: 0.20}),
)


def find_published(part: str, version: str, instruction: str, figure: str) -> str:
    """The published figures of a cell, such as "0.12 (CelebA-HQ)"; empty where there is none."""
    wanted = (part, version, instruction, figure)
    return ", ".join(
        f"{one.value:.2f} ({one.people})"
        for one in FIGURES
        if (one.part, one.version, one.instruction, one.figure) == wanted
    )
