"""What an analysis found, as frozen records and as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.analysis.measure import MAP_SIGMAS, PROMPT, Gradients, Reference
from decontext.objectives.sensitivity import Worth
from decontext.settings import ProtectSettings

SENSITIVITY_SIGMAS = (0.9, 0.98, 1.0)
"""Noise levels at which blocks are weighed."""


@dataclass(frozen=True, eq=False)
class PhotoAnalysis:
    """What was measured of one photo; proportions are `(noise levels, blocks)`.

    `similarities` are cosines of the three edits of each reference to the photo, in the order of
    its fields; None where no face was found or nothing could look for one.
    """

    name: str
    original: Tensor = field(repr=False)
    protected: Tensor = field(repr=False)
    before: Tensor = field(repr=False)
    after: Tensor = field(repr=False)
    gradients: Gradients
    singles: tuple[Worth, ...]
    prefixes: tuple[Worth, ...]
    chosen: str
    references: tuple[Reference, ...]
    similarities: tuple[tuple[float | None, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {
            "photo": self.name,
            "context_proportion": {
                "sigmas": list(MAP_SIGMAS),
                "original": self.before.tolist(),
                "protected": self.after.tolist(),
            },
            "gradients": asdict(self.gradients) | {"shares": list(self.gradients.shares)},
            "blocks": {
                "sigmas": list(SENSITIVITY_SIGMAS),
                "auto": self.chosen,
                "sets": [
                    {**asdict(worth), "fall": worth.fall, "per_cost": worth.per_cost}
                    for worth in (*self.singles, *self.prefixes)
                ],
            },
            "edits": [
                {
                    "instruction": reference.instruction,
                    "similarity_original": values[0],
                    "similarity_protected": values[1],
                    "similarity_without_context": values[2],
                }
                for reference, values in zip(self.references, self.similarities, strict=True)
            ],
        }


@dataclass(frozen=True, eq=False)
class Analysis:
    """All photos of a run and the page that shows them; `cut` names blocks of the intervention."""

    page: Path
    editor: str
    block_names: tuple[str, ...]
    cut: str
    settings: ProtectSettings
    statement: str
    photos: tuple[PhotoAnalysis, ...]

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {
            "page": str(self.page),
            "statement": self.statement,
            "editor": self.editor,
            "block_names": list(self.block_names),
            "cut_context": self.cut,
            "prompt": PROMPT,
            "settings": self.settings.to_dict(),
            "photos": [photo.to_dict() for photo in self.photos],
        }

    def summary(self) -> tuple[str, ...]:
        """A sentence for each photo."""
        return tuple(
            f"{photo.name}: context proportion at noise {MAP_SIGMAS[-1]:g} "
            f"{float(photo.before[-1].mean()):.3f}, protected {float(photo.after[-1].mean()):.3f}; "
            f"--blocks auto chooses {photo.chosen}"
            for photo in self.photos
        )
