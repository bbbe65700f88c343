"""The demonstration, with a tiny editor of random weights: what it writes and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
from PIL import Image

import decontext
from decontext import demo
from decontext.demo.page import build_demo_page
from decontext.editors import Editor
from decontext.evaluation import identity
from decontext.photo.portraits import ASTRONAUT

SETTINGS = replace(
    demo.SETTINGS,
    method="sign",
    epsilon=64 / 255,
    steps=20,
    blocks="double:0",
    verify_noises=1,
)


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Editor:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portraits") / "portrait.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").crop((100, 0, 350, 250)).resize((96, 96)).save(path)
    return path


@pytest.fixture(scope="module")
def demonstration(
    editor: Editor, portrait: Path, tmp_path_factory: pytest.TempPathFactory
) -> demo.Demonstration:
    return demo.run_demo(
        tmp_path_factory.mktemp("demo") / "new" / "folder",
        editor,
        settings=SETTINGS,
        portraits=[portrait],
        instructions=["smile", "make it <b>bold</b>"],
    )


def test_demo_writes_page_protected_portrait_and_report(demonstration: demo.Demonstration) -> None:
    assert {path.name for path in demonstration.page.parent.iterdir()} == {
        "index.html",
        "portrait.protected.png",
        "portrait.protected.png.json",
    }


def test_page_holds_every_picture_and_loads_nothing(demonstration: demo.Demonstration) -> None:
    page = demonstration.page.read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 3 * 2 + 3 + 2 + 3 * 2
    assert "http" not in page
    assert "demonstration editor" in page
    # A weak result is said to be one beside the first pictures too.
    assert page.count("may still show this person") == 2
    assert "make it &lt;b&gt;bold&lt;/b&gt;" in page
    assert "levels; the change " in page and "where it is seen" in page


def test_numbers_are_plain_values_and_have_every_similarity(
    demonstration: demo.Demonstration,
) -> None:
    (portrait,) = json.loads(json.dumps(demonstration.to_dict(), allow_nan=False))["portraits"]
    assert [edit["instruction"] for edit in portrait["edits"]] == ["smile", "make it <b>bold</b>"]
    assert {"similarity_original", "similarity_noisy", "similarity_protected"} <= set(
        portrait["edits"][0]
    )
    assert portrait["report"]["verification"]["level"] == "weak"


def test_summary_counts_the_edits_that_show_the_same_person(
    demonstration: demo.Demonstration,
) -> None:
    (exhibit,) = demonstration.exhibits
    edits = [
        replace(
            exhibit.edits[0],
            similarity_original=0.7,
            similarity_noisy=0.6,
            similarity_protected=0.1,
        ),
        replace(
            exhibit.edits[1],
            similarity_original=0.4,
            similarity_noisy=0.2,
            similarity_protected=None,
        ),
    ]
    measured = replace(
        demonstration, exhibits=(replace(exhibit, edits=tuple(edits)),), measured=True
    )
    text = " ".join(measured.summary())
    assert (
        "in 2 of 2 edits of the original, in 1 of the noisy and in 0 of the protected copy" in text
    )
    assert measured.example() == (measured.exhibits[0], edits[0])
    page = build_demo_page(measured)
    assert "The edit of the photo shows the same person." in page
    assert "levels; the change " in page and "where it is seen" in page
    assert "The edit of the protected photo shows another face." in page
    assert "same person is in 2 of the photos, in 0 of the protected photos, and in 1 of" in page
    assert demo.Edit.judge(0.3628) == "0.3628 another face"
    assert demo.Edit.judge(-0.001) == "0.00 another face"
    assert demo.Edit.judge(0.7) == "0.70 the same person"
    assert demo.Edit.judge(0.1) == "0.10 another face"
    assert demo.Edit.judge(None) == "no face found"


def test_without_the_extra_there_are_pictures_and_no_numbers(
    editor: Editor, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "find_spec", lambda name: None)
    told: list[tuple[int, int, str]] = []
    result = demo.run_demo(
        tmp_path,
        editor,
        settings=SETTINGS,
        portraits=[portrait],
        instructions=["smile"],
        on_progress=lambda *event: told.append(event),
    )
    assert result.measured is False
    assert "pip install 'decontext[eval]'" in " ".join(result.summary())
    assert "no face found" not in result.page.read_text(encoding="utf-8")
    assert told[-1][0] < told[-1][1] == SETTINGS.steps + 3


def test_an_earlier_demonstration_is_kept_without_force(
    editor: Editor, portrait: Path, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("precious")
    with pytest.raises(decontext.InputError, match="exists already"):
        demo.run_demo(tmp_path, editor, settings=SETTINGS, portraits=[portrait])
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
