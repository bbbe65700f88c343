"""How visible the changes of many photos are, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from decontext.folders.seen import SHOWN, describe_seen, fields_of_report, seen_section


def _row(folder: Path, name: str, score: float | None) -> dict[str, Any]:
    source = folder / "from" / name
    source.parent.mkdir(exist_ok=True)
    Image.new("RGB", (700, 60), "grey").save(source)
    Image.new("RGB", (700, 60), "silver").save(folder / name)
    seen = None if score is None else "is visible"
    return {"name": name, "source": str(source), "ssimulacra2": score, "jod": None, "seen": seen}


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"ssimulacra2": 81.23, "jod": 9.876}, "is seen (SSIMULACRA2 81.2, JOD 9.88)"),
        ({"ssimulacra2": 81.23, "jod": None}, "is seen (SSIMULACRA2 81.2)"),
        ({"ssimulacra2": None, "jod": None}, "is seen"),
        ({}, "is seen"),
    ],
)
def test_words_stand_before_the_scores_that_there_are(scores: dict[str, Any], said: str) -> None:
    assert describe_seen({"seen": "is seen", **scores}) == said


def test_reports_of_before_say_nothing() -> None:
    assert fields_of_report({}) == {"ssimulacra2": None, "jod": None, "seen": None}
    assert describe_seen(fields_of_report({})) == ""


def test_maps_are_of_the_photos_whose_change_is_seen_most(tmp_path: Path) -> None:
    scores = {"a.png": 90.0, "b.png": 40.0, "c.png": None, "d.png": 60.0, "e.png": 70.0}
    rows = [_row(tmp_path, name, score) for name, score in scores.items()]
    (section,) = seen_section(rows, tmp_path.joinpath)
    assert [row.title.split(":")[0] for row in section.rows] == ["b.png", "d.png", "e.png"]
    assert len(section.rows) == SHOWN
    assert all(figure.width == 350 for figure in section.rows[0].figures)


def test_photos_that_are_gone_are_left_out(tmp_path: Path) -> None:
    rows = [_row(tmp_path, "a.png", 90.0), _row(tmp_path, "b.png", 40.0)]
    Path(rows[1]["source"]).unlink()
    (section,) = seen_section(rows, tmp_path.joinpath)
    assert [row.title.split(":")[0] for row in section.rows] == ["a.png"]
    Path(rows[0]["source"]).write_text("no picture")
    assert not list(seen_section(rows, tmp_path.joinpath))
