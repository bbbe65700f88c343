"""The whole thing on two portraits: protect, edit every version, say who is shown, write a page.

It uses the engine as anyone would; what it does with the embedded editor, `flux-kontext` does too.
Telling who is shown needs the extra `decontext[eval]`; without it there are pictures only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.editors import Editor
from decontext.evaluation.identity import (
    THRESHOLD,
    FaceRecogniser,
    can_recognise,
    compare_faces,
)
from decontext.photo.files import check_absent, make_folder, write_whole
from decontext.photo.images import Photo, load_photo, to_array
from decontext.photo.portraits import PORTRAITS
from decontext.protect import protect
from decontext.publishing.controls import with_noise
from decontext.report import DEMONSTRATION, Figure, Section, build_page
from decontext.saving import Result
from decontext.settings import ProtectSettings, describe_epsilon

SETTINGS = ProtectSettings(epsilon=12.75 / 255)
"""The budget is that of the paper's FLUX code."""

INSTRUCTIONS = (
    "keep the picture as it is",
    "make the person smile",
    "add glasses",
    "put a red hat on the person",
    "make it black and white",
    "make the background green",
)

OnProgress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""


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
        return f"{value:.2f} {'the same person' if value >= THRESHOLD else 'somebody else'}"


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

    def summary(self) -> tuple[str, ...]:
        """The numbers in sentences."""
        lines = [f"epsilon: {describe_epsilon(self.settings.epsilon)}"]
        for exhibit in self.exhibits:
            found = exhibit.result.verification
            line = f"{exhibit.name}: context proportion {found.original:.3f}, protected "
            line += (
                f"{found.protected_mean:.3f}, with random noise of the same size {found.random:.3f}"
            )
            if self.measured:
                original, noisy, protected = (
                    sum(value is not None and value >= THRESHOLD for value in values)
                    for values in zip(*(edit.similarities for edit in exhibit.edits), strict=True)
                )
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


def run_demo(
    folder: Path,
    editor: Editor,
    *,
    settings: ProtectSettings = SETTINGS,
    portraits: Sequence[Path] = PORTRAITS,
    instructions: Sequence[str] = INSTRUCTIONS,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Demonstration:
    """Protect the portraits, edit each version by each instruction, and write `index.html`.

    `folder` is made where it is missing; the protected portraits and their reports go there too.

    Raises:
        InputError: the folder holds a page already, or cannot be written to.
        DecontextError: what `protect` and the editor raise.
    """
    page = folder / "index.html"
    check_absent(page, force=force)
    make_folder(folder)
    recogniser = _recogniser_if_installed()
    exhibits = tuple(
        _make_exhibit(
            portrait,
            editor,
            output=folder / f"{portrait.stem}.protected.png",
            settings=settings,
            instructions=instructions,
            recogniser=recogniser,
            on_progress=on_progress or (lambda done, total, what: None),
        )
        for portrait in portraits
    )
    demonstration = Demonstration(page, exhibits, settings, measured=recogniser is not None)
    content = build_page("Who does the edit show?", DEMONSTRATION, _page_sections(demonstration))
    write_whole(content.encode(), page)
    return demonstration


def _make_exhibit(
    portrait: Path,
    editor: Editor,
    *,
    output: Path,
    settings: ProtectSettings,
    instructions: Sequence[str],
    recogniser: FaceRecogniser | None,
    on_progress: OnProgress,
) -> Exhibit:
    photo = load_photo(portrait)
    steps, total = settings.steps, settings.steps + 3 * len(instructions)
    result = protect(
        photo,
        editor,
        output=output,
        settings=settings,
        force=True,
        accept_weak=True,  # It is there to show what happens.
        on_step=lambda step: on_progress(step.index, total, f"protecting {portrait.stem}"),
    )
    noisy = with_noise(photo.pixels, result.verification.levels, settings.seed)
    edits = []
    for index, instruction in enumerate(instructions):
        pictures: list[Tensor] = []
        for picture in (photo.pixels, noisy, result.image):
            on_progress(steps + 3 * index + len(pictures), total, f"editing: {instruction}")
            pictures.append(editor.edit(picture, instruction, seed=settings.seed))
        alike = _compare(photo.pixels, pictures, recogniser)
        edits.append(
            Edit(
                instruction=instruction,
                of_original=pictures[0],
                of_noisy=pictures[1],
                of_protected=pictures[2],
                similarity_original=alike[0],
                similarity_noisy=alike[1],
                similarity_protected=alike[2],
            )
        )
    return Exhibit(portrait.stem, photo, result, noisy, tuple(edits))


def _compare(
    portrait: Tensor, edits: Sequence[Tensor], recogniser: FaceRecogniser | None
) -> list[float | None]:
    """Similarity of each edit to the portrait, None where it cannot be told."""
    if recogniser is None:
        return [None] * len(edits)
    return compare_faces([to_array(image) for image in (portrait, *edits)], recogniser)


def _recogniser_if_installed() -> FaceRecogniser | None:
    """The face recogniser, or None without the extra `eval`."""
    return FaceRecogniser() if can_recognise() else None


def _page_sections(demonstration: Demonstration) -> list[Section]:
    """A summary, then each portrait with its protected copy and the edits of both."""
    summary = "; ".join(demonstration.summary())
    table = demonstration.table() if demonstration.measured else ()
    sections = [Section("In numbers", text=f"{summary}.", table=table)]
    for exhibit in demonstration.exhibits:
        levels = exhibit.result.verification.levels
        versions = (
            Figure(exhibit.photo.pixels, "the portrait"),
            Figure(exhibit.noisy, f"random noise, {levels} levels of 255"),
            Figure(exhibit.result.image, f"protected, up to {levels} levels of 255"),
        )
        rows = (
            _edit_row(exhibit, demonstration, version, name)
            for version, name in ((0, ""), (1, "with random noise"), (2, "protected"))
        )
        sections.append(Section(exhibit.name, rows=(versions, *rows)))
    return sections


def _edit_row(
    exhibit: Exhibit, demonstration: Demonstration, version: int, name: str
) -> list[Figure]:
    """Every edit of one version of the portrait: 0 the original, 1 the noisy, 2 the protected."""
    figures = []
    for edit in exhibit.edits:
        picture = (edit.of_original, edit.of_noisy, edit.of_protected)[version]
        words = [f"the same, {name}" if name else edit.instruction]
        if demonstration.measured:
            words.append(edit.judge(edit.similarities[version]))
        figures.append(Figure(picture, ": ".join(words)))
    return figures
