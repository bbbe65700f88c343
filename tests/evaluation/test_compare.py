"""Two evaluations beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from decontext.cli.commands import run_command
from decontext.errors import InputError
from decontext.evaluation.compare import (
    compare,
    comparison_table,
    read_evaluation,
    to_dict,
    warn_of_differences,
)
from decontext.evaluation.figures import Figures

PHOTOS = ("a", "b", "c")


def _run(
    key: str, label: str, identities: Sequence[float | None], *, editor: str = "tiny"
) -> Figures:
    """Three photos, two instructions: edits of the original at 0.8, of a version as given."""
    thresholds = {"sface": 0.363, "dlib": 0.4}
    rows: list[dict[str, Any]] = [
        {"kind": "heading", "editor": editor, "thresholds": thresholds, "likeness": "net"}
    ]
    rows += [
        {"kind": "protection", "sha256": p, "photo": p, "protection": key, "label": label}
        for p in PHOTOS
    ]
    for version, values in (("original", [0.8] * 6), (key, identities)):
        for index, value in enumerate(values):
            rows.append(
                {
                    "kind": "edit",
                    "photo": PHOTOS[index // 2],
                    "sha256": PHOTOS[index // 2],
                    "protection": version,
                    "transform": "none",
                    "prompt": f"instruction {index % 2}",
                    "seed": 0,
                    "identity": {"sface": value, "dlib": value},
                    "faces": int(value is not None),
                }
            )
    return Figures(rows)


def test_change_is_the_mean_of_pairs_and_words_follow_its_interval() -> None:
    first = _run("k1", "flat", [0.5, 0.5, 0.6, 0.6, 0.7, 0.7])
    second = _run("k2", "least visible", [0.1, 0.2, 0.1, None, 0.2, 0.1])
    original, protected = compare(first, second)
    assert original.label == "the original"
    assert original.change.mean == 0
    assert original.words == "no difference that this many photos could show"
    assert protected.label == "flat → least visible"
    assert protected.change.mean == pytest.approx((-0.4 - 0.3 - 0.5 - 0.5 - 0.6) / 5)
    assert (protected.edits, protected.change.missing) == (6, 1)
    assert protected.words == "shows the person less"
    backwards = compare(second, first)[1]
    assert backwards.change.mean == pytest.approx(-protected.change.mean)
    assert backwards.words == "shows the person more"
    row = comparison_table([protected])[1]
    assert row[:4] == ("flat → least visible", "none", "0.60", "0.14")
    assert row[4].startswith("-0.46 [")
    assert row[5] == "100% → 0%"
    assert to_dict([protected])[0]["change"]["mean"] == protected.change.mean


def test_only_edits_that_both_runs_have_are_compared() -> None:
    first = _run("k", "flat", [0.5] * 6)
    second = Figures([row for row in first.rows if row.get("sha256") != "b"])
    assert [one.edits for one in compare(first, second)] == [4, 4]
    nothing = Figures(first.rows[:1])
    with pytest.raises(InputError, match="have no edit in common"):
        compare(first, nothing)


def test_other_differences_of_the_runs_are_said() -> None:
    first, second = _run("k", "flat", [0.5] * 6), _run("k", "flat", [0.5] * 6, editor="other")
    assert warn_of_differences(first, first) == []
    assert warn_of_differences(first, second) == ["the runs differ in editor: tiny and other."]


def test_unknown_recogniser_is_refused() -> None:
    run = _run("k", "flat", [0.5] * 6)
    with pytest.raises(InputError, match="no 'arcface' is in both; both have .*sface, dlib"):
        compare(run, run, recogniser="arcface")
    assert compare(run, run, recogniser="dlib")[1].first.share == 1


def test_command_compares_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, values in (("one", [0.5] * 6), ("two", [0.1] * 6)):
        (tmp_path / name).mkdir()
        lines = [json.dumps(row) for row in _run("k", "flat", values).rows]
        (tmp_path / name / "results.jsonl").write_text("\n".join(lines), encoding="utf-8")
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert run_command(["report", *folders, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["differences"][1]["change"]["mean"] == pytest.approx(-0.4)
    assert "3 photos: a direction" in printed["warnings"][0]
    assert run_command(["report", *folders]) == 0
    assert "flat, after none: the second run shows the person less." in " ".join(
        capsys.readouterr().out.split()
    )
    assert run_command(["report", folders[0], str(tmp_path / "three")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert read_evaluation(tmp_path / "one" / "results.jsonl").heading["editor"] == "tiny"
