"""Editors whose language model sees the photo, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_sides import shrink_pipelines
from tiny_longcat import save_tiny_longcat
from tiny_qwen import save_tiny_causal, save_tiny_qwen

from decontext import cli
from decontext.editors import longcat_image_edit, qwen_image_2_1, qwen_image_edit_2509
from decontext.editors.several import Crew
from decontext.errors import InputError

SIDE = 96
SIZE = (120, 84)
"""No square, and no multiple of anything."""

CASES = {
    "longcat-image-edit": (save_tiny_longcat, longcat_image_edit, ("--count-vlm-tokens",)),
    "qwen-image-edit-2509": (save_tiny_qwen, qwen_image_edit_2509, ("--count-vlm-tokens",)),
    "qwen-image-2.1": (save_tiny_causal, qwen_image_2_1, ("--samples-per-step", "2")),
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    shades = np.random.default_rng(0).integers(0, 256, (7, 10, 3), dtype=np.uint8)
    Image.fromarray(shades).resize(SIZE).save(tmp_path / "me.png")
    return tmp_path / "me.png"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command line; returns the JSON on stdout, and its exit code with it."""

    def run(*arguments: object) -> Any:
        capsys.readouterr()
        code = cli.run([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert code in (0, 1), err
        assert "Traceback" not in err
        return json.loads(out or "null") | {"code": code}

    return run


@pytest.mark.parametrize("name", CASES)
def test_photo_is_protected_verified_and_edited(
    name: str,
    photo: Path,
    tmp_path: Path,
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save, module, options = CASES[name]
    shrink_pipelines(monkeypatch, SIDE)
    kind = module.kind()
    kind.side = SIDE
    monkeypatch.setattr(module, "kind", lambda: kind)
    weights = save(tmp_path / "weights")
    given = ("--editor", name, "--weights", weights, "--device", "cpu")
    saved = tmp_path / "protected.png"
    limits = ("--steps", 2, "--step-limit", 2, "--accept-weak", "--epsilon", "16/255")
    report = run("protect", photo, "-o", saved, *given, *limits, *options)
    if report["code"] == 0:  # weights are random: nothing may have been won, which is no error here
        with Image.open(saved) as image:
            assert image.size == SIZE
    else:
        saved = photo
    found = run("verify", saved, "--original", photo, *given)
    assert found["code"] in (0, 1)
    run("edit", photo, "smile", "-o", tmp_path / "edit.png", "--steps", 1, *given)
    with Image.open(tmp_path / "edit.png") as image:
        assert image.size == kind.working_size(*SIZE, None)


def test_photo_may_be_one_of_several_pictures(
    photo: Path, tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pipelines(monkeypatch, SIDE)
    kind = qwen_image_2_1.kind()
    kind.side = SIDE
    monkeypatch.setattr(qwen_image_2_1, "kind", lambda: kind)
    weights = save_tiny_causal(tmp_path / "weights")
    given = ("--editor", "qwen-image-2.1", "--weights", weights, "--device", "cpu")
    other = tmp_path / "other.png"
    Image.new("RGB", (64, 96), "teal").save(other)
    edits = []
    for number, company in enumerate(((), ("--among", other), ("--among", other, "--place", 2))):
        edited = tmp_path / f"{number}.png"
        run("edit", photo, "smile", "-o", edited, "--steps", 1, *given, *company)
        with Image.open(edited) as image:
            edits.append(image.tobytes())
    assert len(set(edits)) == 3
    chosen = []

    def stop(*arguments: Any, **options: Any) -> Any:
        chosen.extend(one for one in arguments if isinstance(one, Crew))
        raise InputError("enough was seen")

    monkeypatch.setattr(import_module("decontext.verify"), "verify_after", stop)
    monkeypatch.setattr(import_module("decontext.protect"), "protect", stop)
    for command in (
        ("verify", photo, "--original", photo),
        ("protect", photo, "-o", tmp_path / "out.png"),
    ):
        assert cli.run([*map(str, (*command, *given, *company))]) == 2
    assert [one.info.among for crew in chosen for one in crew] == [(2, 2), (2, 2)]


@pytest.mark.parametrize(
    ("editor", "options", "said"),
    [
        ("kontext-mini", ("--among", "{photo}"), "kontext-mini takes one picture"),
        ("kontext-mini", ("--place", "2"), "Add --among"),
        ("kontext-mini", ("--among", "{photo}", "--place", "3"), "there are 2 pictures"),
        ("kontext-mini", ("--among", "missing.png"), "missing.png"),
    ],
)
def test_other_pictures_are_refused_where_they_cannot_be_given(
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    editor: str,
    options: tuple[str, ...],
    said: str,
) -> None:
    given = [text.format(photo=photo) for text in options]
    command = ["verify", str(photo), "--original", str(photo), "--editor", editor, *given]
    assert cli.run(command) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_other_pictures_are_refused_for_several_photos(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    editor = ["--editor", "kontext-mini", "--among", str(photo)]
    folder = str(photo.parent)
    for command in (
        ["protect", folder, "-o", folder + "/out"],
        ["verify", folder, "--original", folder],
        ["edit", folder, "smile", "-o", folder + "/out"],
    ):
        assert cli.run([*command, *editor]) == 2
        assert "--among and --place are for one photo" in capsys.readouterr().err
