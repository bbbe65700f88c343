"""How many edits show the person, by how far attention fell: the bounds of the verdict.

Reads docs/results.json, in which the study measured all versions after all transforms, and writes
the table in docs/measuring.md.

    python -m study.verdicts
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from decontext.evaluation.tables import Table, number, percent
from study.write import fill, to_markdown

DOCS = Path(__file__).parents[1] / "docs"
BOUNDS = (0.10, 0.20, 0.30, 0.40, 0.50, 0.60)


@dataclass(frozen=True)
class Case:
    """A version after a transform: fall of attention, and what its edits show.

    `shown` is how many edits show the person by the recogniser that finds more of them, `worst`
    the similarity of the edit that shows the person most.
    """

    drop: float
    edits: int
    shown: int
    worst: float


def main() -> None:
    results = json.loads((DOCS / "results.json").read_text("utf-8"))
    table = to_markdown(tabulate(list(read_cases(results))))
    path = DOCS / "measuring.md"
    path.write_text(fill(path.read_text("utf-8"), "\n".join(table)), encoding="utf-8")
    print("\n".join(table))


def read_cases(results: dict[str, Any]) -> Iterator[Case]:
    """Every version after every transform that was measured; what several parts share, once."""
    seen = set()
    for part in results["parts"].values():
        photos = tuple(photo["photo"] for photo in part["photos"])
        recognisers = tuple(part["heading"]["thresholds"])
        for version in part["versions"].values():
            for transform, figures in version["after"].items():
                where = (version["key"], transform, photos)
                if figures.get("attention_drop") is None or where in seen:
                    continue
                seen.add(where)
                found = [figures[name] for name in recognisers]
                edits = found[0]["count"] + found[0]["missing"]
                yield Case(
                    drop=figures["attention_drop"],
                    edits=edits,
                    shown=max(round(one["share"] * edits) for one in found),
                    worst=found[0]["worst"],
                )


def ranges(bounds: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """The ranges of falls that bounds divide: name, least, and what is no longer in it."""
    first, last = bounds[0], bounds[-1]
    yield f"less than {first:.0%}", -math.inf, first
    for low, high in pairwise(bounds):
        yield f"{low:.0%} to {high:.0%}", low, high
    yield f"{last:.0%} or more", last, math.inf


def tabulate(cases: Sequence[Case]) -> Table:
    """One row for each range of falls in which something was measured."""
    table: Table = [("attention fell by", "versions", "edits", "show the person", "worst version",
                     "worst edit")]  # fmt: skip
    for name, low, high in ranges(BOUNDS):
        inside = [case for case in cases if low <= case.drop < high]
        if not inside:
            continue
        edits, shown = sum(c.edits for c in inside), sum(c.shown for c in inside)
        table.append(
            (
                name,
                str(len(inside)),
                str(edits),
                percent(shown / edits),
                percent(max(case.shown / case.edits for case in inside)),
                number(max(case.worst for case in inside)),
            )
        )
    return table


if __name__ == "__main__":
    main()
