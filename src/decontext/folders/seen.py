"""How visible the changes of many photos are: their words, and maps of those that are seen most."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from torch import Tensor
from torch.nn import functional

from decontext.folders.manifest import Row
from decontext.photo.images import load_photo
from decontext.report import Figure, Section
from decontext.report.page import Row as PageRow
from decontext.visibility.picture import AMPLIFIED, amplify, heat_map

FIELDS = ("ssimulacra2", "jod", "seen")
"""Of a photo's row: the scores, where their packages are installed, and the words."""

SHOWN = 3
"""Photos whose maps are on the page: those whose change is seen most."""

LONGEST = 512
"""Pixels: the longest side of what the page shows."""

Find = Callable[[str], Path | IO[bytes]]


def fields_of_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a report, None for what it does not hold: reports of before know none."""
    found = report.get("visibility") or {}
    return {"ssimulacra2": found.get("ssimulacra2"), "jod": found.get("jod"),
            "seen": found.get("words")}  # fmt: skip


def describe_seen(row: Mapping[str, Any]) -> str:
    """Such as "can hardly be told from the photo (SSIMULACRA2 84, JOD 9.8)"; empty: unknown."""
    if not row.get("seen"):
        return ""
    scores = (("SSIMULACRA2", row.get("ssimulacra2")), ("JOD", row.get("jod")))
    figures = ", ".join(f"{name} {value:.3g}" for name, value in scores if value is not None)
    return f"{row['seen']} ({figures})" if figures else str(row["seen"])


def seen_section(rows: Sequence[Row], find: Find) -> Iterator[Section]:
    """Where the change of those photos shows that are seen most, if their files can be read."""
    scored = [row for row in rows if row.get("ssimulacra2") is not None]
    shown = []
    for row in sorted(scored, key=lambda row: (row["ssimulacra2"], row["name"])):
        pictures = _read_both(row, find)
        if pictures is not None:
            shown.append(PageRow(_figures(row["name"], *pictures), title=_title(row)))
        if len(shown) == SHOWN:
            break
    if shown:
        yield Section(
            "Where the change is seen",
            texts=[f"The {len(shown)} photos whose change is seen most, reduced to {LONGEST} "
                   "pixels; in their own size it can be seen more."],
            rows=shown,
            folded=True,
        )  # fmt: skip


def _title(row: Row) -> str:
    return f"{row['name']}: {describe_seen(row)}"


def _figures(name: str, original: Tensor, protected: Tensor) -> list[Figure]:
    return [
        Figure(protected, "protected", alt=f"{name}, protected"),
        Figure(amplify(original, protected), f"the difference, {AMPLIFIED} times as strong",
               alt=f"what changed in {name}"),
        Figure(heat_map(original, protected), "where it is seen",
               alt=f"where the change of {name} is seen"),
    ]  # fmt: skip


def _read_both(row: Row, find: Find) -> tuple[Tensor, Tensor] | None:
    """Photo and protected photo, reduced; None where one of them is not there, or not as it was."""
    try:
        original = load_photo(Path(row["source"])).pixels
        protected = load_photo(find(row["name"])).pixels
    except Exception:  # Sources may lie elsewhere, and a page does without.
        return None
    if original.shape != protected.shape:
        return None
    return _reduced(original), _reduced(protected)


def _reduced(picture: Tensor) -> Tensor:
    factor = max(1, math.ceil(max(picture.shape[-2:]) / LONGEST))
    return functional.avg_pool2d(picture, factor, ceil_mode=True, count_include_pad=False)
