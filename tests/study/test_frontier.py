"""The frontier: what is compared, and the visibility at which identity has fallen by half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from study.frontier import Question, build_questions
from study.frontier_page import answer, at_half, write_documents


def test_half_is_read_between_two_strengths() -> None:
    points = [(90.0, 0.7), (70.0, 0.3), (40.0, 0.0)]
    assert at_half(0.8, points) == (pytest.approx(75.0), True)
    assert at_half(0.8, [(80.0, 0.2)]) == (pytest.approx(100 - 20 * 0.4 / 0.6), True)
    # A method that never gets there: the score of its strongest, and that it was not reached.
    assert at_half(0.8, [(90.0, 0.8), (60.0, 0.5)]) == (60.0, False)
    assert at_half(0.8, [(60.0, 0.4)]) == (pytest.approx(60.0), True)


def test_questions_compare_methods_at_five_strengths(tmp_path: Path) -> None:
    questions = {one.name: one for one in build_questions(tmp_path, people=2)}
    assert set(questions) == {
        "size-128", "size-512", "size-1500", "portraits", "blocks", "noise-levels", "steps",
    }  # fmt: skip
    for question in questions.values():
        keys = [one.key for method in question.methods for one in method.versions]
        assert all(len(method.versions) == 5 for method in question.methods)
        assert len(set(keys)) == len(keys)
        assert question.photos and all(path.exists() for path in question.photos)
    assert {method.name for method in questions["size-128"].methods} >= {
        "least visible", "flat sign steps", "texture budget", "attention entropy", "flow",
        "encoder", "random signs",
    }  # fmt: skip


def _rows(question: Question, identities: dict[str, float]) -> list[dict[str, Any]]:
    """Every photo edited once in every version; the score falls by 10 with each strength."""
    rows: list[dict[str, Any]] = [{"kind": "heading"}]
    for photo in question.photos:
        shared = {"photo": photo.name, "sha256": photo.stem, "transform": "none", "prompt": "p"}
        edit = {"kind": "edit", "seed": 0, **shared}
        rows.append({**edit, "protection": "original", "identity": {"sface": 0.8}})
        for method in question.methods:
            for place, version in enumerate(method.versions):
                value = identities.get(method.name)
                identity = 0.8 if value is None else max(0.8 - value * (place + 1), 0.0)
                rows.append({**edit, "protection": version.key, "identity": {"sface": identity}})
                score = 90 - 10 * place
                rows.append(
                    {
                        "kind": "protection",
                        "protection": version.key,
                        "ssimulacra2": score,
                        **shared,
                    }
                )
    return rows


def test_documents_say_where_each_method_halves_identity(tmp_path: Path) -> None:
    questions = build_questions(tmp_path, people=2)
    first = questions[0]
    rows = _rows(first, {"least visible": 0.4, "flat sign steps": 0.1})
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "rows-rendered-0.jsonl").write_text(lines, encoding="utf-8")
    found = answer(first, tmp_path)["methods"]
    assert found["least visible"]["at_half"]["mean"] == pytest.approx(90)
    assert found["flat sign steps"]["at_half"]["mean"] == pytest.approx(60)
    assert found["random signs"]["never"] == 2
    docs = tmp_path / "docs"
    written = write_documents(tmp_path, questions, docs)
    assert [path.name for path in written] == [
        "frontier.json", "frontier.md", "frontier-size-128.png",
    ]  # fmt: skip
    text = (docs / "frontier.md").read_text(encoding="utf-8")
    assert "| least visible | 90 [90, 90] |" in text
    assert "| random signs | 50 [50, 50] | 2 of 2 |" in text
    assert "**Not run to an end yet**, so not here: Photos of 512 pixels" in text


def test_an_answer_of_more_photos_stays_where_rows_have_fewer(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for people in (4, 2):
        out = tmp_path / str(people)
        out.mkdir()
        questions = build_questions(out, people=people)
        rows = _rows(questions[0], {"least visible": 0.4 / people})
        lines = "\n".join(json.dumps(row) for row in rows)
        (out / "rows-rendered-0.jsonl").write_text(lines, encoding="utf-8")
        written = write_documents(out, questions, docs)
    assert [path.name for path in written] == ["frontier.json", "frontier.md"]  # no new plot
    kept = json.loads((docs / "frontier.json").read_text(encoding="utf-8"))
    assert {name: one["photos"] for name, one in kept.items() if one["photos"]} == {"size-128": 4}
    assert "4 photos" in (docs / "frontier.md").read_text(encoding="utf-8")
