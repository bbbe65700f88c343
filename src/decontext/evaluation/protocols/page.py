"""What a protocol found, cell by cell beside what was published: a page, and a table for docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import NONE, ORIGINAL
from decontext.evaluation.protocols.clip import Asked
from decontext.evaluation.protocols.plans import Part
from decontext.evaluation.protocols.published import find_published
from decontext.evaluation.results import Row, key_of
from decontext.evaluation.summary import summarise
from decontext.evaluation.tables import Table, drop_empty, number, percent, with_interval
from decontext.photo.files import write_whole
from decontext.report import Section, build_page

PAGE = "index.html"
HEAD = ("version", "instruction", "figure", "published", "measured here [95 %]", "edits")


def write_protocol_page(
    parts: Sequence[Part], rows: list[Row], folder: Path, *, clip: Mapping[Any, Asked] | None = None
) -> Path:
    """Write `index.html` into the folder. `clip`: CLIP-T by the keys of edits.

    Raises:
        InputError: it cannot be written.
    """
    figures = Figures(rows)
    sections = [
        Section(part.title, texts=[], table=part_table(part, figures, clip=clip)) for part in parts
    ]
    content = build_page(
        f"Published figures, and those of {figures.heading.get('editor', '')}",
        figures.statement,
        sections,
        lead=lead(figures, clip=clip),
    )
    path = folder / PAGE
    write_whole(content.encode(), path)
    return path


def lead(figures: Figures, *, clip: Mapping[Any, Asked] | None) -> list[str]:
    """What the two columns are, and that they cannot be compared as they stand."""
    editor, weights = figures.heading.get("editor", ""), figures.heading.get("weights", "")
    recogniser = choose_recogniser(figures)
    sentences = [
        f"Measured here: {editor} (weights {str(weights)[:8]}), identity by {recogniser}. "
        "Published: FLUX.1 Kontext [dev], ArcFace (ISM), one A800 of 80 GB; the people are named "
        "in the cell. Published figures are others', not ours.",
        "Two columns of different editors, people or recognisers show a direction, no more.",
    ]
    if not clip:
        sentences.append("CLIP's weights are not on this machine: there is no CLIP-T.")
    return sentences


def choose_recogniser(figures: Figures) -> str:
    """ArcFace, with which the paper measures, where it is; else the first."""
    names = figures.recognisers
    return "arcface" if "arcface" in names or not names else names[0]


def part_table(part: Part, figures: Figures, *, clip: Mapping[Any, Asked] | None = None) -> Table:
    """One part: each version, instruction and figure; the first row is the head."""
    versions = {ORIGINAL: ORIGINAL} | {one.key: one.label for one in part.versions}
    table: Table = [HEAD]
    for key, label in versions.items():
        table += _cells(part, figures, key, label, clip)
    return drop_empty(table)


def _cells(
    part: Part, figures: Figures, key: str, label: str, clip: Mapping[Any, Asked] | None
) -> Iterator[tuple[str, ...]]:
    recogniser = choose_recogniser(figures)
    asked = part.instructions
    for instruction in (*asked, "") if len(asked) != 1 else asked:
        fields = {"prompt": instruction} if instruction else {}
        edits = [
            row
            for row in figures.edits(key, NONE, **fields)
            if not part.instructions or row["prompt"] in part.instructions
        ]
        if not edits:
            continue
        said = instruction or "all of them"
        for name, value in _figures(figures, edits, recogniser, clip).items():
            published = find_published(part.name, label, instruction, name)
            if len(asked) == 1 and not published:  # of which instruction is not said there
                published = find_published(part.name, label, "", name)
            if instruction and name != "ISM" and not published:
                continue  # the rest is said once for all instructions
            yield label, said, name, published or "–", value, str(len(edits))


def _figures(
    figures: Figures, edits: Sequence[Row], recogniser: str, clip: Mapping[Any, Asked] | None
) -> dict[str, str]:
    """Every figure of some edits, as text."""
    photos = [row.get("sha256") for row in edits]
    values = [row["identity"].get(recogniser) for row in edits]
    threshold = figures.heading["thresholds"].get(recogniser)
    identity = summarise(values, photos, threshold=threshold)
    likeness = summarise([row["likeness"] for row in edits], photos)
    name = str(figures.heading["likeness"])
    found = {
        "ISM": with_interval(identity),
        "same person": percent(identity.share),
        "FDFR": number(sum(row["faces"] == 0 for row in edits) / len(edits)),
        name.upper() if name == "clip-i" else name: with_interval(likeness),
    }
    if clip:
        asked = [clip.get(key_of(row)) for row in edits]
        found["CLIP-T"] = with_interval(summarise([a.edit if a else None for a in asked], photos))
        known = [a.succeeded for a in asked if a is not None and a.succeeded is not None]
        if known:
            found["edit success"] = percent(sum(known) / len(known))
    return found
