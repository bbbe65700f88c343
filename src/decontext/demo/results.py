"""What the demonstration found: the edits of every version of every portrait, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.evaluation.identity import THRESHOLD
from decontext.evaluation.tables import number_beside
from decontext.notation import describe_epsilon
from decontext.photo.images import Photo
from decontext.report import DEMONSTRATION
from decontext.saving import Result
from decontext.settings import ProtectSettings

EXAMPLE = "put a red hat on the person"
"""The instruction whose edits are shown first, where they tell the story: one sees it followed."""


@dataclass(frozen=True, eq=False)
class Edit:
    """What the editor made of a portrait, of a noisy and of its protected copy, with one seed.

    The pictures are `(1, 3, height, width)` in [0, 1] at the editor's working size; similarities
    are cosines to the portrait, None where no face was found or nothing could look for one.
    """

    instruction: str
    of_original: Tensor
    of_noisy: Tensor
    of_protected: Tensor
    similarity_original: float | None = None
    similarity_noisy: float | None = None
    similarity_protected: float | None = None

    @property
    def similarities(self) -> tuple[float | None, float | None, float | None]:
        """To the portrait: of the edit of the original, the noisy and the protected copy."""
        return self.similarity_original, self.similarity_noisy, self.similarity_protected

    @staticmethod
    def judge(value: float | None) -> str:
        """A similarity in words, such as "0.61 the same person"."""
        if value is None:
            return "no face found"
        return f"{number_beside(value, THRESHOLD)} {tell(value)}"


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One portrait, its protected copy, one with as much random noise, and the edits of all."""

    name: str
    photo: Photo
    result: Result
    noisy: Tensor
    edits: tuple[Edit, ...]


@dataclass(frozen=True, eq=False)
class Demonstration:
    """All exhibits and the page that shows them; `measured` says whether faces were compared."""

    page: Path
    exhibits: tuple[Exhibit, ...]
    settings: ProtectSettings
    measured: bool

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Those of all portraits."""
        return tuple(edit for exhibit in self.exhibits for edit in exhibit.edits)

    def example(self) -> tuple[Exhibit, Edit]:
        """The portrait and edit that show best what happens: with the person before, not after.

        Where there is none, or nothing was measured, the first that there is.
        """
        pairs = [(exhibit, edit) for exhibit in self.exhibits for edit in exhibit.edits]
        telling = [
            (exhibit, edit)
            for exhibit, edit in pairs
            if shows(edit.similarity_original) and not shows(edit.similarity_protected)
        ]
        shown = [(exhibit, edit) for exhibit, edit in telling if edit.instruction == EXAMPLE]
        return (shown or telling or pairs)[0]

    def summary(self) -> tuple[str, ...]:
        """The numbers in sentences."""
        lines = [f"epsilon: {describe_epsilon(self.settings.budget)}"]
        if self.settings.least_visible:
            lines = [f"the least visible change for a fall of {self.settings.wanted_fall:.0%}"]
        for exhibit in self.exhibits:
            found = exhibit.result.verification
            line = f"{exhibit.name}: context proportion {found.original:.3f}, protected "
            line += (
                f"{found.protected_mean:.3f}, with random noise of the same size {found.random:.3f}"
            )
            if self.measured:
                original, noisy, protected = count_same(exhibit.edits)
                line += f"; the same person in {original} of {len(exhibit.edits)} edits of the "
                line += f"original, in {noisy} of the noisy and in {protected} of the protected "
                line += "copy"
            lines.append(line)
        if not self.measured:
            lines.append("who is shown was not measured: pip install 'decontext[eval]'")
        return tuple(lines)

    def table(self) -> tuple[tuple[str, ...], ...]:
        """Who every edit shows; the first row is the head."""
        head = (
            "portrait",
            "instruction",
            "edit of the original",
            "with random noise",
            "of the protected copy",
        )
        rows = (
            (exhibit.name, edit.instruction, *map(edit.judge, edit.similarities))
            for exhibit in self.exhibits
            for edit in exhibit.edits
        )
        return head, *rows

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values."""
        return {
            "page": str(self.page),
            "demonstration": True,
            "statement": DEMONSTRATION,
            "same_person_from": THRESHOLD,
            "portraits": [
                {
                    "name": exhibit.name,
                    "report": exhibit.result.report,
                    "edits": [
                        {
                            "instruction": edit.instruction,
                            "similarity_original": edit.similarity_original,
                            "similarity_noisy": edit.similarity_noisy,
                            "similarity_protected": edit.similarity_protected,
                        }
                        for edit in exhibit.edits
                    ],
                }
                for exhibit in self.exhibits
            ],
        }


def shows(similarity: float | None) -> bool:
    """Whether an edit shows the person of the portrait."""
    return similarity is not None and similarity >= THRESHOLD


def tell(similarity: float | None) -> str:
    """Whom an edit shows, in words."""
    if similarity is None:
        return "no face that can be recognised"
    return "the same person" if shows(similarity) else "another face"


def count_same(edits: Sequence[Edit]) -> tuple[int, int, int]:
    """How many edits show the person: of the originals, the noisy and the protected copies."""
    versions = zip(*(edit.similarities for edit in edits), strict=True)
    original, noisy, protected = (sum(map(shows, values)) for values in versions)
    return original, noisy, protected
