"""The report of an evaluation: one self-contained page of figures, plots and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from decontext.evaluation import charts
from decontext.evaluation.photo_run import protected_path
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import Row, identify, printable
from decontext.evaluation.tables import (
    Figures,
    fidelity_table,
    identity_table,
    number,
    photo_table,
    prompt_table,
    transform_table,
)
from decontext.photo.files import write_whole
from decontext.photo.images import read_pixels
from decontext.photo.resampling import resize
from decontext.report import Figure, Section, build_page

PAGE = "index.html"
SHOWN_PHOTOS = 8
"""Photos whose pictures are on the page, so that it can be opened; all lie beside it."""

_THUMBNAIL = 224
_AMPLIFIED = 10

STATEMENT = (
    "Measured against this editor, with these instructions and seeds, and nothing else: another "
    "editor, instruction or treatment of the photo may show the person again."
)


def write_page(rows: list[Row], folder: Path, photos: tuple[Path, ...]) -> Path:
    """Write `index.html` into the folder of an evaluation and return its path.

    `photos` are the originals, for their pictures.

    Raises:
        InputError: it cannot be written, or the extra `eval` is not installed.
    """
    figures = Figures(rows)
    sections = [*_number_sections(figures), *_picture_sections(figures, folder, photos)]
    title = f"What edits by {figures.heading['editor']} show"
    path = folder / PAGE
    write_whole(build_page(title, STATEMENT, sections).encode(), path)
    return path


def _number_sections(figures: Figures) -> Iterator[Section]:
    thresholds = figures.heading["thresholds"]
    said = ", ".join(f"{name} from {number(value)}" for name, value in thresholds.items())
    kind = (
        " after what all rendered people share is subtracted" if figures.heading["rendered"] else ""
    )
    yield Section("Photos", table=photo_table(figures))
    identities = {label: figures.identity(key) for key, label in figures.labels.items()}
    plot = charts.draw_bars(
        identities,
        title="similarity of edits to the person of the original, and its 95 % interval",
        label=f"{figures.recognisers[0]}; dashed: same person from here",
        line=thresholds[figures.recognisers[0]],
    )
    yield Section(
        "Who do edits show?",
        text="Similarity of every edit to the person of the original photo"
        f"{kind}; the same person: {said}. Lower protects better. Worst is the edit that shows the "
        "person most; where no face is found, the person counts as not shown.",
        table=identity_table(figures),
        rows=[[Figure(charts.to_image(plot), "", wide=True)]],
    )
    protected = [key for key in figures.labels if key not in (ORIGINAL, CUT)]
    if len(figures.transforms) > 1 and protected:
        yield from _transform_sections(figures, protected)
    yield Section(
        "What does the photo look like, and the edit?",
        text="Distance of the protected photo from the original; blur (0 sharp, 1 nothing left) "
        "and noise (levels) of edits: a protection that only spoils pictures shows here.",
        table=fidelity_table(figures),
    )
    yield Section("By instruction", table=prompt_table(figures))


def _transform_sections(figures: Figures, protected: list[str]) -> Iterator[Section]:
    """A table for each protection, and one plot of what is kept of all of them."""
    after = [name for name in figures.transforms if name != NONE]
    plot = charts.draw_groups(
        after,
        {figures.labels[key]: [figures.kept(key, name) for name in after] for key in protected},
        title="part of the drop of identity that is left after a transform",
        label="dashed: all of it",
        line=1.0,
    )
    yield Section(
        "What survives?",
        text="Kept is the part of the drop of identity that is left, against edits of the original "
        "after the same transform; a dash where there was no drop to keep.",
        rows=[[Figure(charts.to_image(plot), "", wide=True)]],
    )
    for key in protected:
        yield Section(figures.labels[key], table=transform_table(figures, key))


def _picture_sections(
    figures: Figures, folder: Path, photos: tuple[Path, ...]
) -> Iterator[Section]:
    """Photo, protected photo, difference, and edits of both after every transform."""
    for path, content in identify(photos[:SHOWN_PHOTOS]).items():
        try:
            original = read_pixels(path)
        except Exception:  # Its row says why it could not be read.
            continue
        name = printable(path.name)
        rows = [[Figure(_thumbnail(original), name)]]
        rows += [
            [
                *_edit_figures(figures, folder, content, ORIGINAL, "the original"),
                *_edit_figures(figures, folder, content, CUT, "the original, attention cut"),
            ]
        ]
        for key, label in figures.labels.items():
            saved = protected_path(folder, content, key)
            if saved.exists():
                rows.append(_protected_figures(original, read_pixels(saved), label))
                rows.append(list(_edit_figures(figures, folder, content, key, "the protected")))
        yield Section(name, rows=[row for row in rows if row])


def _protected_figures(original: Tensor, protected: Tensor, label: str) -> list[Figure]:
    difference = (0.5 + (protected - original) * _AMPLIFIED).clamp(0, 1)
    return [
        Figure(_thumbnail(protected), label),
        Figure(_thumbnail(difference), f"difference × {_AMPLIFIED}, grey is none"),
    ]


def _edit_figures(
    figures: Figures, folder: Path, photo: str, version: str, what: str
) -> Iterator[Figure]:
    """One edit after every transform: the first instruction with the first seed."""
    for transform in figures.transforms:
        row = next(iter(figures.edits(version, transform, sha256=photo)), None)
        if row is not None and (folder / row["picture"]).exists():
            how = "" if transform == NONE else f" after {transform}"
            value = row["identity"][figures.recognisers[0]]
            said = "no face" if value is None else number(value)
            caption = f"edit of {what}{how}: {row['prompt']}; {said}"
            yield Figure(_thumbnail(read_pixels(folder / row["picture"])), caption)


@torch.no_grad()
def _thumbnail(image: Tensor) -> Tensor:
    """A picture no larger than the page shows it."""
    height, width = image.shape[-2:]
    factor = min(1.0, _THUMBNAIL / max(height, width))
    if factor == 1:
        return image
    return resize(image, (max(1, round(width * factor)), max(1, round(height * factor))))
