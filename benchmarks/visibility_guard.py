"""How the guard of plain places makes the distance agree with the scores of others.

`python -m benchmarks.visibility_guard` measures the random changes of `scores` and `calibration`
in docs/visibility.json again, whose SSIMULACRA2 and JOD stand there, by the distance with other
numbers in place of the guard's, and writes `guard` there; `benchmarks.visibility page` makes the
table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.visibility import RESULTS, load_photos, random_changes
from decontext.photo.files import write_whole
from decontext.photo.images import quantise
from decontext.visibility import guard
from decontext.visibility.distance import VisibleDistance

RATIOS = (1, 2, 4)
NUMBERS = ((1.0, 3.0), (4.0, 3.0), (9.0, 3.0), (25.0, 3.0), (9.0, 2.0), (9.0, 5.0))
"""How many times plain places count, and the contrast by which a place is plain no longer."""

Row = dict[str, Any]
Change = tuple[Tensor, Tensor, Row]


def main() -> None:
    """Measure, and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    results = parser.parse_args().results
    torch.set_num_threads(1)
    said = json.loads(results.read_text())
    changes = list(read_changes([*said["scores"], *said["calibration"]]))
    said["guard"] = [measure(changes, counts, contrast) for counts, contrast in NUMBERS]
    write_whole((json.dumps(said, indent=1) + "\n").encode(), results)


def read_changes(rows: Sequence[Row]) -> Iterator[Change]:
    """Photo, change, and the row that has its scores."""
    known = {(row["photo"], row["ratio"], row["kind"], row["levels"]): row for row in rows}
    names = sorted({row["photo"] for row in rows})
    for ratio in RATIOS:
        for name, photo in load_photos(ratio, names):
            for kind, pattern in random_changes(photo.pixels):
                for levels in sorted({row["levels"] for row in rows}):
                    row = known.get((name, ratio, kind, levels))
                    if row is not None:
                        changed = (photo.pixels + levels / 255 * pattern).clamp(0, 1)
                        changed = quantise(changed, photo.pixels, 1.0)
                        yield photo.pixels, changed - photo.pixels, row


@torch.no_grad()
def measure(changes: Sequence[Change], counts: float, contrast: float) -> Row:
    """Agreement of the distance with both scores, with these numbers of the guard."""
    with _guarded(counts, contrast):
        seen = np.sqrt([float(VisibleDistance(photo)(change)) for photo, change, _ in changes])
    rows = [row for *_, row in changes]
    score, jod = (np.array([row[name] for row in rows]) for name in ("ssimulacra2", "jod"))
    slope = float((seen * (100 - score)).sum() / (seen**2).sum())
    return {
        "counts": counts,
        "contrast": contrast,
        "changes": len(changes),
        "ssimulacra2": float(spearmanr(-seen, score).statistic),
        "jod": float(spearmanr(-seen, jod).statistic),
        "miss": float(np.abs(100 - slope * seen - score).mean()),
    }


@contextmanager
def _guarded(counts: float, contrast: float) -> Iterator[None]:
    usual = guard.ON_PLAIN, guard.PLAIN_CONTRAST
    guard.ON_PLAIN, guard.PLAIN_CONTRAST = counts, contrast
    try:
        yield
    finally:
        guard.ON_PLAIN, guard.PLAIN_CONTRAST = usual


if __name__ == "__main__":
    main()
