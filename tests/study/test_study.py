"""The study's questions, and what its documents say of rows; no editor is run here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.photo.portraits import PORTRAITS
from decontext.prompts import OPTIMISE
from study.parts import INSTRUCTIONS, LEVELS, PEOPLE, Part, build_parts
from study.write import MARKERS, fill, write_documents

IDENTITY = {ORIGINAL: 0.8, CUT: 0.0, "context-proportion": 0.1, "flow": 0.5, "uniform": 0.8}
AFTER = {"jpeg-75": 0.2, "resize-0.5": 0.3, "jpeg-75+resize-0.5": 0.6}


def _parts(level: str) -> tuple[Part, ...]:
    enlarged = {512: tuple(sorted(PEOPLE.glob("*.webp")))[: LEVELS[level].enlarged]}
    return build_parts(LEVELS[level], portraits=tuple(PORTRAITS), enlarged=enlarged)


def test_there_are_more_than_twenty_people_of_one_size() -> None:
    files = sorted(PEOPLE.glob("*.webp"))
    assert len(files) >= 20
    assert all(int(path.stem) >= 90_000 for path in files)
    for path in files:
        with Image.open(path) as image:
            assert image.size == (128, 128)


@pytest.mark.parametrize("level", LEVELS)
def test_every_part_has_versions_photos_and_instructions_of_its_own(level: str) -> None:
    for part in _parts(level):
        plan = part.plan(LEVELS[level])
        assert len({one.key for one in part.versions}) == len(part.versions) > 1
        assert len({one.label for one in part.versions}) == len(part.versions)
        assert part.photos and all(path.exists() for path in part.photos)
        assert not set(plan.prompts) & set(OPTIMISE)
        assert len(part.places) in (0, len(part.versions))


def test_full_level_asks_at_least_twenty_people_about_objectives() -> None:
    parts = {part.name: part for part in _parts("full")}
    assert len(parts["objectives"].photos) >= 20
    assert {"random-sign", "uniform", "flow", "encoder"} <= {
        one.label for one in parts["objectives"].versions
    }
    assert {"jpeg-50", "noise-0.05", "clean", "redraw"} <= set(parts["transforms"].transforms)


def _write_rows(out: Path, level: str) -> tuple[Part, ...]:
    """Rows as a run would leave them, with identities from the tables above."""
    parts = _parts(level)
    rows: list[dict[str, Any]] = [
        {
            "kind": "heading",
            "editor": "kontext-mini",
            "thresholds": {"sface": 0.35, "dlib": 0.43},
            "likeness": "efficientnet-lite0",
            "rendered": True,
        }
    ]
    for part in parts:
        if part.name not in ("objectives", "transforms", "budgets"):
            continue
        for number, photo in enumerate(part.photos):
            versions = [(ORIGINAL, ORIGINAL), (CUT, CUT)]
            versions += [(one.key, one.label) for one in part.versions]
            for key, label in versions:
                for transform in part.transforms:
                    value = IDENTITY.get(label, 0.1)
                    if transform in AFTER and key not in (ORIGINAL, CUT):
                        value = AFTER[transform]
                    rows += _rows_of(photo.name, key, transform, value + 0.02 * number)
    out.mkdir(parents=True)
    # Parts share rows; a real file holds each of them once.
    text = "\n".join(dict.fromkeys(json.dumps(row) for row in rows)) + "\n"
    (out / "rows-rendered-0.jsonl").write_text(text, encoding="utf-8")
    return parts


def _rows_of(photo: str, key: str, transform: str, value: float) -> list[dict[str, Any]]:
    base = {"photo": photo, "protection": key}
    edit = {
        "kind": "edit",
        **base,
        "transform": transform,
        "prompt": INSTRUCTIONS[0],
        "seed": 0,
        "identity": {"sface": value, "dlib": value},
        "faces": 1,
        "likeness": 0.5,
        "blur": 0.4,
        "noise": 1.0,
    }
    measures = {"levels": 8, "psnr": 34.0, "worst_patch": 33.0, "ssim": 0.9, "ms_ssim": 0.95}
    if key in (ORIGINAL, CUT) or transform != NONE:
        return [edit]
    return [{"kind": "protection", **base, **measures, "lpips": None, "seconds": 2.0}, edit]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("study")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "limits.md").write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n")
    parts = _write_rows(tmp_path / "rows", "toy")
    write_documents(tmp_path / "rows", parts, docs, level="toy", workers=1, seconds=60.0)
    write_documents(tmp_path / "rows", parts, docs, level="toy", workers=1, seconds=60.0)
    return docs


def test_results_say_what_was_met_and_what_was_missed(documents: Path) -> None:
    text = (documents / "results.md").read_text(encoding="utf-8")
    assert "minus that with `flow`: -0.40 [-0.40, -0.40] n=2, **better** (sface)" in text
    assert "minus that with `encoder`: 0.00" in text
    assert (
        "after jpeg-75, `--robust web`: 86% of the drop of identity is left (goal 80%): met" in text
    )
    assert "after resize-0.5, `--robust web`: 71%" in text
    assert "(goal 80%): **missed**" in text
    (absent,) = [line for line in text.splitlines() if "Not run to an end yet" in line]
    assert "Noise levels" in absent
    assert "Objectives" not in absent
    assert "after jpeg-75+resize-0.5, `--robust web`: 29%" in text
    assert "2 photos: a direction, no more" in text
    assert "`make study LEVEL=toy`" in text and "2 minutes" in text
    assert "## Attention blocks" not in text  # not done


def test_every_plot_that_is_named_is_there(documents: Path) -> None:
    text = (documents / "results.md").read_text(encoding="utf-8")
    for name in ("objectives", "budgets", "transforms"):
        assert f"images/study-{name}.png" in text
        with Image.open(documents / "images" / f"study-{name}.png") as image:
            assert image.width == 770


def test_limits_are_filled_between_their_markers(documents: Path) -> None:
    text = (documents / "limits.md").read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text
    assert "| leave the picture the same | 0.81 | 0.11 | 0% |" in text
    assert "| jpeg-75+resize-0.5 | 29% | 29% |" in text
    with pytest.raises(ValueError, match="no part between"):
        fill("nothing here", "content")


def test_limits_of_the_project_have_the_markers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    assert fill(text, "x").count(MARKERS[0]) == 1
