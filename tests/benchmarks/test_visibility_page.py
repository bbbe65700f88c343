"""What the tables of visibility say of their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import visibility_page
from benchmarks.sections import part
from benchmarks.visibility_page import gain_over_flat, groups, write_page


def _row(photo: str, method: str, fall: float, score: float, **more: Any) -> dict[str, Any]:
    ours = method == "least-visible"
    edits = {"original": [0.8, 0.7], "none": [0.1, None], "flip": [0.5, 0.1]}
    return {
        "photo": photo,
        "ratio": 4,
        "method": method,
        "strength": "standard" if ours else "4",
        "ssimulacra2": score,
        "jod": None,
        "falls": {"none": fall, "jpeg-75+resize-0.5": 0.3, "crop-5": 0.1, "flip": 0.4},
        "edits": edits if ours else {},
        "passes_with_gradient": 40,
        "passes_without": 15,
        "seconds": 9.0,
        **more,
    }


FLAT = [_row("90001", "sign", 0.4, 60.0), _row("90001", "sign", 0.8, 20.0)]
ROWS = [
    _row("90001", "least-visible", 0.6, 75.0, coarse_colour={"photo": 2.0, "skin": 1.0}),
    _row("90002", "least-visible", 0.6, 65.0),
    _row("grace", "least-visible", 0.5, 50.0),
    *FLAT,
]


def test_flat_steps_are_compared_at_the_same_fall_and_only_where_both_were_run() -> None:
    assert gain_over_flat(ROWS[0], ROWS) == pytest.approx(75 - 40)
    assert gain_over_flat(ROWS[1], ROWS) is None
    assert gain_over_flat(ROWS[0], ROWS[:4]) is None


def test_people_and_photographs_are_told_apart() -> None:
    assert [(name, len(rows)) for name, rows in groups(ROWS)] == [
        ("rendered people, 4x (2)", 2),
        ("photographs, 4x (1)", 1),
    ]


def test_summary_says_median_and_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    names = ("summary", "frontier", "copies", "calibration", "guard", "tried")
    page.write_text("".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in names))
    monkeypatch.setattr(visibility_page, "PAGE", page)
    changes = [
        {"ratio": 2, "distance": distance, "ssimulacra2": 100 - distance, "jod": jod}
        for distance, jod in ((1.0, 9.0), (4.0, 9.5), (9.0, 9.9))
    ]
    guard = {"counts": 9.0, "contrast": 3.0, "ssimulacra2": 0.96, "jod": 0.92, "miss": 5.1}
    tried = {"photo": "90000", "way": "default", "ssimulacra2": 68.1, "jod": None,
             "passes_with_gradient": 42, "falls": {"none": 0.6, "moved-1": 0.05}}  # fmt: skip
    write_page({"frontier": ROWS, "calibration": changes, "guard": [guard], "tried": [tried]})
    assert "| 9 | 3 | 0.96 | 0.92 | 5.1 |" in part(page, "guard")
    assert "| 90000 | default | 68 |  | 42 | 0.60 | 0.05 |" in part(page, "tried")
    assert "| 2x | 3 | 1.00 | -1.00 |" in part(page, "calibration")
    people = part(page, "summary").splitlines()[2]
    assert "| 70 (65) |" in people
    assert "| 50% (50%) | 56% (56%; 1) |" in people
    assert "| 0.30 (0.30) | 0.10 (0.10) |" in people
    assert "| 4 of 4 | 0 of 4 | 2 of 4 |" in people and "+35 (+35; 1)" in people
    assert "| grace | 4x | standard | 0.50 | 50 |" in part(page, "frontier")
    assert "| 90001 | 4x | 0.60 | 0.30 | 0.10 | 0.40 | 2 of 2 | 0 of 2 | 1 of 2 |" in part(
        page, "copies"
    )
