"""The whole analysis of one small photo by a tiny editor: page, numbers, and refusals."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.analysis.measure import MAP_SIGMAS
from decontext.analysis.results import Analysis
from decontext.analysis.run import STAGES, analyse
from decontext.errors import InputError
from decontext.objectives.sensitivity import prefix_sets, single_sets
from decontext.photo.images import load_photo
from decontext.photo.portraits import ASTRONAUT
from decontext.report.plot import check_matplotlib
from decontext.settings import ProtectSettings

pytest.importorskip("matplotlib")
SETTINGS = ProtectSettings(steps=2, blocks="auto", epsilon=32 / 255)


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    loaded = decontext.load_editor("flux-kontext", source=folder, device="cpu")
    loaded._default_steps = 2
    return loaded


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("photo") / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize((72, 56)).save(path)
    return load_photo(path)


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def analysis(
    editor: Any,
    photo: Any,
    progress: list[tuple[int, int, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Analysis:
    return analyse(
        [photo],
        editor,
        output=tmp_path_factory.mktemp("out") / "new",
        settings=SETTINGS,
        cut="single",
        on_progress=lambda *values: progress.append(values),
    )


def test_numbers_beside_the_page_are_complete_and_finite(analysis: Analysis) -> None:
    numbers = json.loads(analysis.page.with_name("analysis.json").read_text("utf-8"))
    assert numbers == json.loads(json.dumps(analysis.to_dict()))
    blocks = single_sets(tiny_models.DOUBLE_BLOCKS, tiny_models.SINGLE_BLOCKS)
    assert numbers["block_names"] == list(blocks)
    (found,) = numbers["photos"]
    for version in ("original", "protected"):
        grid = np.array(found["context_proportion"][version])
        assert grid.shape == (len(MAP_SIGMAS), len(blocks))
        assert ((grid > 0) & (grid < 1)).all()
    assert found["context_proportion"]["original"] != found["context_proportion"]["protected"]
    sets = {entry["name"]: entry for entry in found["blocks"]["sets"]}
    assert found["blocks"]["auto"] in prefix_sets(2, 3)
    assert all(entry["per_cost"] == entry["fall"] / entry["cost"] for entry in sets.values())
    assert [edit["instruction"] for edit in found["edits"]] == [
        "a photo of this person",
        "make the person smile",
    ]


def test_page_holds_every_plot_and_edit_inside_itself(analysis: Analysis) -> None:
    page = analysis.page.read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2 * 3
    assert page.count("data:image/svg+xml;base64,") == 1 + 1 + 1
    assert "of the attention of the picture being made falls on the photo" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "edit that cannot see the photo" in page
    assert "epsilon 32/255 of full range (32 levels), 2 steps" in page
    assert "protect" in analysis.summary()[0]


def test_progress_runs_through_all_stages(
    analysis: Analysis, progress: list[tuple[int, int, str]]
) -> None:
    assert len(analysis.photos) == 1
    assert sorted({done for done, _, _ in progress}) == list(range(STAGES))
    assert {total for _, total, _ in progress} == {STAGES}
    assert "step 2 of 2" in " ".join(what for _, _, what in progress)


def test_an_earlier_analysis_and_a_wrong_block_are_refused_before_the_work(
    editor: Any, photo: Any, analysis: Analysis, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="index.html exists already"):
        analyse([photo], editor, output=analysis.page.parent, settings=SETTINGS)
    with pytest.raises(InputError, match="no blocks are named 'triple'"):
        analyse([photo], editor, output=tmp_path / "new", settings=SETTINGS, cut="triple")
    assert list(tmp_path.iterdir()) == []


def test_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install 'decontext\[eval\]'"):
        check_matplotlib()
