"""Edits by how far attention fell under the least visible change: rows, table, and the bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sections import part
from decontext.prompts import HELD_OUT
from decontext.verdict import STRONG_DROP
from study import falls
from study.write import to_markdown

EDITORS = ("kontext-mini", "klein-mini")


def _shipped() -> list[dict[str, Any]]:
    return [json.loads(line) for line in falls.ROWS.read_text("utf-8").splitlines()]


def test_table_in_the_docs_is_that_of_the_shipped_rows() -> None:
    table = "\n".join(to_markdown(falls.tabulate(_shipped())))
    assert table == part(falls.DOCS / "measuring.md", "falls")


@pytest.mark.parametrize("editor", EDITORS)
def test_few_edits_show_the_person_above_the_bound_and_many_far_below(editor: str) -> None:
    cases = list(falls.read_cases(_shipped(), editor))

    def share(low: float, high: float) -> float:
        inside = [case for case in cases if low <= case.drop < high]
        assert sum(case.edits for case in inside) >= 15
        return sum(case.shown for case in inside) / sum(case.edits for case in inside)

    assert share(STRONG_DROP, 1.0) < 0.1
    assert share(-1.0, 0.2) > 0.8


def test_the_bound_cannot_be_lowered_for_all_editors() -> None:
    """Falls that are enough against one of them are not against the other."""
    shown = {}
    for editor in EDITORS:
        cases = [one for one in falls.read_cases(_shipped(), editor) if 0.4 <= one.drop < 0.5]
        shown[editor] = sum(one.shown for one in cases)
        assert sum(one.edits for one in cases) >= 50
    assert shown["kontext-mini"] == 0 < 3 < shown["klein-mini"]


def test_cases_are_versions_in_copies_and_a_face_by_any_recogniser_counts() -> None:
    rows = [
        {"editor": "e", "photo": "90000", "ratio": 1, "wanted": None,
         "edits": {"none": [{"sface": 0.7, "dlib": 0.9}, {"sface": None, "dlib": None}]}},
        {"editor": "e", "photo": "90000", "ratio": 1, "wanted": 0.4,
         "falls": {"none": 0.42, "jpeg-75": 0.2},
         "edits": {"none": [{"sface": 0.1, "dlib": 0.2}, {"sface": None, "dlib": None}],
                   "jpeg-75": [{"sface": 0.1, "dlib": 0.5}, {"sface": 0.36, "dlib": 0.1}]}},
    ]  # fmt: skip
    cases = list(falls.read_cases(rows, "e"))
    assert [(case.drop, case.edits, case.shown) for case in cases] == [(0.42, 2, 0), (0.2, 2, 2)]
    table = {row[0]: row[1:] for row in falls.tabulate(rows)}
    assert table["nothing: the original"] == ("2", "50%")
    assert table["40% to 45%"] == ("2", "0%")
    assert table["20% to 30%"] == ("2", "100%")


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(falls, "ROWS", tmp_path / "falls.jsonl")
    monkeypatch.setattr(falls, "AFTER", ("none",))
    monkeypatch.setattr(falls, "INSTRUCTIONS", HELD_OUT[4:5])
    monkeypatch.setattr(falls, "EDIT_STEPS", 2)
    for _ in range(2):
        falls.measure("kontext-mini", 1, [0.3], ["90002"])
    rows = [json.loads(line) for line in (tmp_path / "falls.jsonl").read_text().splitlines()]
    assert [row["wanted"] for row in rows] == [None, 0.3]
    assert rows[1]["falls"]["none"] > 0.25 and len(rows[1]["edits"]["none"]) == 1
    assert capsys.readouterr().out.count("90002") == 2
    with pytest.raises(SystemExit, match="no such photo: nobody"):
        falls.measure("kontext-mini", 1, [0.3], ["nobody"])
