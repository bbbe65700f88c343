"""A photo from whatever a program has it as: every verb gives the same of all kinds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from PIL import Image

import decontext
from decontext.errors import InputError
from decontext.photo.images import load_photo, to_array
from decontext.photo.portraits import ASTRONAUT

KINDS = (
    "path", "text", "bytes", "file", "pil", "uint8", "float", "tensor", "levels", "photo"
)  # fmt: skip
QUICK: dict[str, Any] = {
    "steps": 1,
    "step_limit": 1,
    "epsilon": "64/255",
    "blocks": "double:0",
    "robust": "off",
    "verify_prompts": 1,
    "verify_noises": 1,
}


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize((72, 56)).save(path)
    return path


def as_kind(path: Path, kind: str) -> Any:
    photo = load_photo(path)
    levels = to_array(photo.pixels)
    with Image.open(path) as image:
        image.load()
    return {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "pil": image,
        "uint8": levels,
        "float": levels / 255.0,
        "tensor": photo.pixels,
        "levels": torch.from_numpy(levels).movedim(-1, 0),
        "photo": photo,
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_measured_edited_and_protected_alike(editor: Any, path: Path, kind: str) -> None:
    measured = decontext.verify(as_kind(path, kind), as_kind(path, kind), editor,
                                prompts=["smile"], noises=1)  # fmt: skip
    assert measured == decontext.verify(path, path, editor, prompts=["smile"], noises=1)
    edited = decontext.edit(as_kind(path, kind), "smile", editor, steps=1)
    assert torch.equal(edited, decontext.edit(path, "smile", editor, steps=1))
    expected = [as_kind(path, kind)]
    ((given, error),) = decontext.protect_many(expected, editor, **QUICK)
    assert given is expected[0]
    assert isinstance(error, decontext.NotProtectedError)  # read, optimised and measured
    assert {one.name for one in path.parent.iterdir()} == {"me.png"}


def test_every_verb_refuses_what_could_be_read_in_two_ways(editor: Any, path: Path) -> None:
    doubtful = as_kind(path, "float") * 255
    said = "its values go from"
    with pytest.raises(InputError, match=said):
        decontext.verify(doubtful, path, editor)
    with pytest.raises(InputError, match=said):
        decontext.verify(path, doubtful, editor)
    with pytest.raises(InputError, match=said):
        decontext.edit(doubtful, "smile", editor)
    ((_, error),) = decontext.protect_many([doubtful], editor, **QUICK)
    assert isinstance(error, InputError) and said in str(error)


def test_kinds_are_evaluated_alike(editor: Any, path: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    kinds = [kind for kind in KINDS if kind not in ("path", "text")]
    found = decontext.evaluate(
        [as_kind(path, kind) for kind in kinds], tmp_path, editor, prompts=["smile"],
        transforms=["none"], edit_steps=1, **{**QUICK, "epsilon": "8/255"},
    )  # fmt: skip
    said = {row["photo"]: (row["status"], row["notes"]) for row in found.figures.photos()}
    files, arrays = ("bytes", "file", "pil", "photo"), ("uint8", "float", "tensor", "levels")
    for group in (files, arrays):  # what a file carries beside its pixels makes another file
        first, *others = (f"photo-{kinds.index(kind)}.png" for kind in group)
        assert said[first][0] == "evaluated"
        # The same pixels give the same file, which is evaluated once.
        assert [said[name] for name in others] == [
            ("duplicate", [f"the same file as {first}"])
        ] * len(others)
