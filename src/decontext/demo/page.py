"""The page of the demonstration: one example and one sentence, every edit, then the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from decontext.demo.results import Demonstration, Edit, Exhibit, count_same, tell
from decontext.evaluation.identity import THRESHOLD
from decontext.notation import LEVELS
from decontext.report import DEMONSTRATION, Figure, Pair, Row, Section, build_page
from decontext.visibility.picture import AMPLIFIED, amplify, heat_map
from decontext.visibility.scores import measure_visibility

TITLE = "Who does the edit show?"
NAMES = {"astronaut": "Eileen Collins", "grace_hopper": "Grace Hopper"}
"""Who the portraits of the package show."""


def build_demo_page(demonstration: Demonstration) -> str:
    """The page as HTML."""
    sections = [
        _example_section(demonstration),
        *(_exhibit_section(exhibit, demonstration) for exhibit in demonstration.exhibits),
        *_number_sections(demonstration),
    ]
    return build_page(TITLE, DEMONSTRATION, sections, lead=tuple(_lead(demonstration)))


def _lead(demonstration: Demonstration) -> Iterator[str]:
    """What was found, in a sentence or two."""
    if not demonstration.measured:
        yield "Look at the edit of the photo, and at the edit of the protected photo."
        yield "Who they show was not measured: pip install 'decontext[eval]'."
        return
    _, edit = demonstration.example()
    yield (
        f"The edit of the photo shows {tell(edit.similarity_original)}. "
        f"The edit of the protected photo shows {tell(edit.similarity_protected)}."
    )


def _count(demonstration: Demonstration) -> str:
    """Over all edits."""
    original, noisy, protected = count_same(demonstration.edits)
    return (
        f"Of {len(demonstration.edits)} edits each, the same person is in {original} of the "
        f"photos, in {protected} of the protected photos, and in {noisy} of photos with as much "
        "random noise."
    )


def describe_visibility(exhibit: Exhibit) -> str:
    """How the change looks, and by how many levels."""
    seen = measure_visibility(exhibit.photo.pixels, exhibit.result.image)
    return (
        "The protected photo differs from the photo by up to "
        f"{exhibit.result.verification.levels} of {LEVELS} levels; {seen.sentence}."
    )


def _example_section(demonstration: Demonstration) -> Section:
    """The photo and its edit beside the protected photo and its edit; noise, small, as control."""
    exhibit, edit = demonstration.example()
    verification = exhibit.result.verification
    versions = (
        ("The photo", exhibit.photo.pixels, edit.of_original, edit.similarity_original),
        ("The protected photo", exhibit.result.image, edit.of_protected, edit.similarity_protected),
        ("As much random noise", exhibit.noisy, edit.of_noisy, edit.similarity_noisy),
    )
    pairs = []
    for name, picture, edited, similarity in versions:
        words = tell(similarity) if demonstration.measured else ""
        shown = f"edited: {words}" if words else "edited"
        pairs.append(
            Pair(
                name,
                Figure(picture, "before the edit", alt=f"{name}, {_name(exhibit)}"),
                Figure(
                    edited, shown, alt=f"{name} after “{edit.instruction}”: {words or 'an edit'}"
                ),
                small=name.startswith("As much"),
            )
        )
    return Section(
        f"“{edit.instruction[0].upper()}{edit.instruction[1:]}”",
        pairs=pairs,
        remarks=[
            *([_count(demonstration)] if demonstration.measured else []),
            *([] if verification.protected else [verification.sentence]),
            describe_visibility(exhibit),
        ],
    )


def _exhibit_section(exhibit: Exhibit, demonstration: Demonstration) -> Section:
    """One portrait: its three versions, then three edits by each instruction."""
    levels = exhibit.result.verification.levels
    versions = Row(
        [
            Figure(exhibit.photo.pixels, "photo", alt=f"the photo of {_name(exhibit)}"),
            Figure(
                exhibit.result.image,
                f"protected, up to {levels} levels",
                alt=f"the protected photo of {_name(exhibit)}",
            ),
            Figure(
                exhibit.noisy,
                f"random noise, {levels} levels",
                alt=f"the photo of {_name(exhibit)} with random noise",
            ),
        ],
        title="What goes in",
        shape="three",
    )
    change = (exhibit.photo.pixels, exhibit.result.image)
    places = Row(
        [
            Figure(amplify(*change), f"the difference, {AMPLIFIED} times as strong",
                   alt=f"what changed in the photo of {_name(exhibit)}"),
            Figure(heat_map(*change), "where it is seen",
                   alt=f"where the change of the photo of {_name(exhibit)} is seen"),
        ],
        title="What was changed",
        shape="three",
    )  # fmt: skip
    rows = [versions, places, *(_edit_row(edit, demonstration) for edit in exhibit.edits)]
    return Section(_name(exhibit), texts=[exhibit.result.verification.sentence], rows=rows)


def _edit_row(edit: Edit, demonstration: Demonstration) -> Row:
    """The edits of the photo, the protected and the noisy copy by one instruction."""
    shown: tuple[tuple[str, Tensor, float | None], ...] = (
        ("photo", edit.of_original, edit.similarity_original),
        ("protected", edit.of_protected, edit.similarity_protected),
        ("random noise", edit.of_noisy, edit.similarity_noisy),
    )
    figures = []
    for name, picture, similarity in shown:
        words = f"{name}: {edit.judge(similarity)}" if demonstration.measured else name
        figures.append(Figure(picture, words, alt=f"edit of {words}, {edit.instruction}"))
    return Row(figures, title=edit.instruction, shape="three")


def _number_sections(demonstration: Demonstration) -> Iterator[Section]:
    """The figures and how they were made, folded away."""
    if demonstration.measured:
        yield Section(
            "Who every edit shows, in numbers",
            texts=[
                "How alike the faces of edit and portrait are (SFace); the same person from "
                f"{THRESHOLD}."
            ],
            table=demonstration.table(),
            folded=True,
        )
    settings = demonstration.settings
    rows = [("setting", "value"), *((name, str(v)) for name, v in settings.to_dict().items())]
    yield Section(
        "How it was made",
        texts=demonstration.summary(),
        table=rows,
        folded=True,
    )


def _name(exhibit: Exhibit) -> str:
    return NAMES.get(exhibit.name, exhibit.name)
