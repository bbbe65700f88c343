"""`decontext.evaluate`: one call from a program, with a tiny editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.errors import InputError
from decontext.photo.images import load_photo, to_array
from decontext.photo.portraits import ASTRONAUT


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "me.png"
    path.parent.mkdir()
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").crop((100, 0, 350, 250)).resize((64, 64)).save(path)
    return path


OPTIONS: dict[str, Any] = {
    "prompts": ["please smile"],
    "transforms": ["none"],
    "edit_steps": 1,
    "steps": 1,
    "blocks": "double:0",
    "robust": "off",
}


def test_photos_in_memory_and_files_are_evaluated(editor: Any, photo: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "report"
    half = to_array(load_photo(photo).pixels)[:, :32]
    found = decontext.evaluate([photo, half], folder, editor, budgets=["16/255"], **OPTIONS)
    assert found.page == folder / "index.html" and found.page.exists()
    assert {row["photo"] for row in found.figures.photos()} == {"me.png", "photo-1.png"}
    assert list(found.figures.labels.values())[-1] == ("context-proportion fall 60% within 16/255")
    assert "index.html" in str(found) and "Measured against this editor" in str(found)
    assert str(found).startswith("The same person is in ")
    assert (folder / "summary.csv").exists()


def test_what_cannot_be_evaluated_is_said_first(editor: Any, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another folder than the photos"):
        decontext.evaluate(photo.parent, photo.parent, editor)
    with pytest.raises(InputError, match="no method is named 'magic'"):
        decontext.evaluate([photo], tmp_path, editor, methods=["magic"])
    with pytest.raises(InputError, match="Did you mean steps"):
        decontext.evaluate([photo], tmp_path, editor, stepz=3)
    with pytest.raises(InputError, match="there is no photo"):
        decontext.evaluate([], tmp_path, editor)


def test_pictures_of_an_evaluation_are_not_its_photos(
    editor: Any, photo: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "pictures" / "me.png"
    inside.parent.mkdir()
    photo.rename(inside)
    with pytest.raises(InputError, match="which it could replace"):
        decontext.evaluate([inside], tmp_path, editor, **OPTIONS)
