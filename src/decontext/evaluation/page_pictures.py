"""The pictures of an evaluation's page: each photo and its edits, before and after protection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from decontext.evaluation.figures import Figures
from decontext.evaluation.photo_run import protected_path
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import Row as ResultRow
from decontext.evaluation.results import identify, name_photos
from decontext.evaluation.tables import number_beside
from decontext.photo.images import read_pixels
from decontext.photo.resampling import resize
from decontext.report import Figure, Pair, Row, Section
from decontext.visibility.picture import AMPLIFIED, amplify, heat_map
from decontext.visibility.scores import describe_score

SHOWN_PHOTOS = 8
"""Photos whose pictures are on the page, so that it can be opened; all lie beside it."""

_THUMBNAIL = 256


def picture_sections(figures: Figures, folder: Path, photos: tuple[Path, ...]) -> Iterator[Section]:
    """One section for each of the first photos, the first one open."""
    names = name_photos(photos)
    photos = photos[:SHOWN_PHOTOS]
    for path, content in identify(photos).items():
        try:
            original = read_pixels(path)
        except Exception:  # Its row says why it could not be read.
            continue
        page = _PhotoPictures(figures, folder, content, names[path])
        section = page.section(original, folded=content != identify(photos[:1]).get(photos[0]))
        if section is not None:
            yield section


class _PhotoPictures:
    """What the page shows of one photo: edits by the first instruction with the first seed."""

    def __init__(self, figures: Figures, folder: Path, content: str, name: str) -> None:
        self._figures, self._folder = figures, folder
        self._content, self._name = content, name

    def section(self, original: Tensor, *, folded: bool) -> Section | None:
        """Photo and protected photos with their edits, then what is left after transforms."""
        first = self._edit(ORIGINAL, NONE)
        pairs, rows, changes, places = [], [], [], []
        if first is not None:
            pairs.append(self._pair("the photo", original, first))
        for key, label in self._figures.labels.items():
            saved = protected_path(self._folder, self._content, key)
            if key in (ORIGINAL, CUT) or not saved.exists():
                continue
            protected = read_pixels(saved)
            edited = self._edit(key, NONE)
            if edited is not None:
                pairs.append(self._pair(label, protected, edited))
            changes.append(self._difference(original, protected, label))
            places.append(self._heat(original, protected, key, label))
        if changes:
            title = f"What was changed, {AMPLIFIED} times as strong; grey is nothing"
            rows += [Row(changes, title=title), Row(places, title="Where the change is seen")]
        for key, label in self._figures.labels.items():
            figures = [
                self._edit_figure(row, transform)
                for transform in self._figures.transforms
                if transform != NONE or key == CUT
                if (row := self._edit(key, transform)) is not None
            ]
            if figures:
                rows.append(Row(figures, title=f"Edits of {label}, by treatment"))
        if not pairs and not rows:
            return None
        texts = [f"Instruction: “{first['prompt']}”."] if first is not None else []
        return Section(self._name, texts=texts, pairs=pairs, rows=rows, folded=folded)

    def _edit(self, version: str, transform: str) -> ResultRow | None:
        rows = self._figures.edits(version, transform, sha256=self._content)
        found = next(iter(rows), None)
        return found if found and (self._folder / found["picture"]).exists() else None

    def _pair(self, label: str, picture: Tensor, edited: ResultRow) -> Pair:
        before = Figure(
            _thumbnail(picture), "before the edit", alt=f"{self._name}, {label}, before the edit"
        )
        return Pair(label, before, self._edit_figure(edited, "edited"))

    def _edit_figure(self, row: ResultRow, how: str) -> Figure:
        said = f"{how}: {self._judge(row)}"
        label = self._figures.labels.get(row["protection"], row["protection"])
        alt = f"edit of {self._name}, {label}, “{row['prompt']}”, {said}"
        return Figure(_thumbnail(read_pixels(self._folder / row["picture"])), said, alt=alt)

    def _judge(self, row: ResultRow) -> str:
        """Whom an edit shows, by the first recogniser."""
        name = self._figures.recognisers[0]
        value, threshold = row["identity"][name], self._figures.heading["thresholds"][name]
        if value is None:
            return "no face" if not row["faces"] else "not comparable"
        who = "the same person" if value >= threshold else "another face"
        return f"{number_beside(value, threshold)} {who}"

    def _difference(self, original: Tensor, protected: Tensor, label: str) -> Figure:
        return Figure(
            _thumbnail(amplify(original, protected)),
            label,
            alt=f"difference of {self._name} and {label}, amplified {AMPLIFIED} times",
        )

    def _heat(self, original: Tensor, protected: Tensor, key: str, label: str) -> Figure:
        """A map, with how visible the change is in words."""
        scores = self._figures.fidelity("ssimulacra2", key, sha256=self._content)
        words = "" if scores.mean is None else f": {describe_score(scores.mean)}"
        return Figure(
            _thumbnail(heat_map(original, protected)),
            label + words,
            alt=f"where the change of {self._name} by {label} is seen{words}",
        )


@torch.no_grad()
def _thumbnail(image: Tensor) -> Tensor:
    """A picture no larger than the page shows it."""
    height, width = image.shape[-2:]
    factor = min(1.0, _THUMBNAIL / max(height, width))
    if factor == 1:
        return image
    return resize(image, (max(1, round(width * factor)), max(1, round(height * factor))))
