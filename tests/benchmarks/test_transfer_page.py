"""What docs/transfer.md says follows from the rows, whichever editor's folder holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.transfer_page import write_document

PROMPT = "keep it"
PEOPLE = ("one", "two")
SAID: dict[str, Any] = {
    "method": "sign",
    "budget": "8/255",
    "steps": 60,
    "unseen_command": [],
    "also_against": [],
}
"""Of a run, with sign steps."""


def write_rows(
    folder: Path, editor: str, identities: dict[str, float], *, made: bool, people: Any = PEOPLE
) -> None:
    """Rows of an editor: of each person one edit of every version, and protections if `made`."""
    heading = {"editor": editor, "thresholds": {"sface": 0.35}, "likeness": "", "rendered": True}
    rows: list[dict[str, Any]] = [{"kind": "heading", **heading}]
    for person in people:
        named = {"photo": person, "sha256": person}
        for version, identity in identities.items():
            if made and version != "original":
                rows.append(
                    {"kind": "protection", "protection": version, "against": version, **named}
                    | {"label": version, "seconds": 3.0, "ssimulacra2": 71.25}
                )
            edit = {"protection": version, "transform": "none", "prompt": PROMPT, "seed": 0}
            rows.append({"kind": "edit", **named, **edit, "identity": {"sface": identity}})
            rows[-1]["faces"] = 1
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "results.jsonl").write_text(text, encoding="utf-8")


def document(tmp_path: Path, fall: float, *, people: Any = PEOPLE) -> str:
    """Protection against A lowers identity of B's edits by `fall`, that against B by 0.6."""
    said = {**SAID, "labels": ["A", "B b"], "command": ["A", "B b=A:/home/me/weights"]}
    (tmp_path / "run.json").write_text(json.dumps(said), encoding="utf-8")
    write_rows(tmp_path / "A", "A", {"original": 0.7, "A": 0.0, "B b": 0.6}, made=True)
    own = {"original": 0.7, "A": 0.7 - fall, "B b": 0.1}
    write_rows(tmp_path / "B-b", "B b", own, made=False, people=people)
    page = tmp_path / "transfer.md"
    assert write_document(tmp_path, page, ["B was trained on."]) == page
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("fall", "words"),
    [
        (0.59, "carries over.** Identity falls by 0.59, by 0.60"),
        (0.3, "carries over in part.** Identity falls by 0.30"),
        (0.06, "does not carry over.** Identity falls by 0.06"),
    ],
)
def test_headline_says_what_the_rows_say(tmp_path: Path, fall: float, words: str) -> None:
    text = document(tmp_path, fall)
    lines = text.splitlines()
    assert lines[4].startswith("- **B b → A: protection does not carry over.**")
    assert lines[5].startswith(f"- **A → B b: protection {words}")
    assert "| A | B b |" in text and "| nothing (the original) | B b |" in text


def test_editor_that_nothing_was_protected_against_is_compared_with_the_original(
    tmp_path: Path,
) -> None:
    said = {
        **SAID,
        "labels": ["A", "C"],
        "command": ["A"],
        "unseen_command": ["C=A:/home/me/weights"],
    }
    (tmp_path / "run.json").write_text(json.dumps(said), encoding="utf-8")
    write_rows(tmp_path / "A", "A", {"original": 0.7, "A": 0.0}, made=True)
    write_rows(tmp_path / "C", "C", {"original": 0.6, "A": 0.45}, made=False)
    text = write_document(tmp_path, tmp_path / "t.md").read_text(encoding="utf-8")
    assert "A → C: protection does not carry over.** Identity falls by 0.15 of 0.60: 25%" in text
    assert "nothing was protected against C" in text and '--unseen "C=A:FOLDER"' in text
    assert "| A | 71.2 | 3 s |" in text or "| A | 71.3 | 3 s |" in text


def test_where_weights_lie_is_not_said_and_what_they_are_is(tmp_path: Path) -> None:
    text = document(tmp_path, 0.3)
    assert "B was trained on." in text and "from 2 rendered people" in text
    assert "/home/me" not in text and 'B b=A:FOLDER"' in text


def test_a_person_counts_once_every_editor_is_done(tmp_path: Path) -> None:
    text = document(tmp_path, 0.3, people=PEOPLE[:1])
    assert "from 1 rendered people" in text
    assert "One photo: a direction, no more." in text
