"""One photo against several editors at once: two tiny ones of different builds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_flux2 import save_tiny_flux2
from tiny_models import save_tiny_pipeline

import decontext
from decontext import cli, verdict
from decontext.editors.several import Crew, gather
from decontext.errors import InputError, NotProtectedError
from decontext.estimate import estimate_run
from decontext.photo.images import load_photo
from decontext.photo.portraits import ASTRONAUT
from decontext.preparing import prepare
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.report import settings_from_report
from decontext.settings import ProtectSettings
from decontext.verdict import weakest

STRONG: dict[str, Any] = {
    "method": "sign",
    "epsilon": 64 / 255,
    "steps": 6,
    "step_limit": 6,
    "blocks": "double:0",
    "robust": "off",
    "verify_prompts": 1,
    "verify_noises": 1,
}
FEW: dict[str, Any] = {"blocks": "double:0", "prompts": HELD_OUT[:1], "noises": 1}
NAMES = ["flux-kontext", "flux2-klein"]


@pytest.fixture(scope="module", autouse=True)
def _modest() -> Iterator[None]:
    """Random weights hardly look at the photo: what moves them little is enough here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdict, "WEAK_DROP", 0.005)
        patch.setattr(verdict, "LEAST_RATIO", 0.0)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    save = dict(zip(NAMES, (save_tiny_pipeline, save_tiny_flux2), strict=True))
    return {name: save[name](tmp_path_factory.mktemp(name)) for name in NAMES}


def load(folders: dict[str, Path]) -> list[Any]:
    return [decontext.load_editor(name, source=folders[name], device="cpu") for name in NAMES]


@pytest.fixture(scope="module")
def editors(folders: dict[str, Path]) -> list[Any]:
    return load(folders)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize((72, 64)).save(path)
    return path


@pytest.fixture(scope="module")
def result(editors: list[Any], path: Path) -> Any:
    return decontext.protect(path, editors, output=path.with_name("out.png"), accept_weak=True,
                             **STRONG)  # fmt: skip


def test_attention_of_every_editor_falls(result: Any) -> None:
    each = {found.editor: found.drop for found in result.verification.each}
    assert set(each) == set(NAMES)
    assert min(each.values()) > 0.02
    assert result.verification.drop == min(each.values())


def test_protecting_against_one_alone_leaves_the_other_behind(
    result: Any, editors: list[Any], path: Path
) -> None:
    alone = decontext.protect(path, editors[0], accept_weak=True, **STRONG)
    carried = decontext.verify(alone.image, path, editors[1], **FEW)
    both = decontext.verify(result.image, path, editors[1], **FEW)
    assert both.drop > carried.drop + 0.01


def test_report_tells_of_every_editor_and_can_be_read_back(result: Any, path: Path) -> None:
    report = json.loads(path.with_name("out.png.json").read_text("utf-8"))
    assert report["editor"]["name"] == "flux-kontext + flux2-klein"
    assert [each["name"] for each in report["editors"]] == NAMES
    found = report["verification"]
    assert {found["editor"], *(other["editor"] for other in found["others"])} == set(NAMES)
    assert "these editors only" in report["statement"]
    assert settings_from_report(path.with_name("out.png.json")) == result.settings


def test_report_of_a_single_editor_is_as_it_was(editors: list[Any], path: Path) -> None:
    alone = decontext.protect(path, editors[:1], accept_weak=True, **STRONG)
    assert "editors" not in alone.report
    assert "others" not in alone.report["verification"]
    assert alone.report["editor"]["name"] == "flux-kontext"


def test_verdict_is_that_of_the_worst_editor(result: Any, editors: list[Any], path: Path) -> None:
    again = decontext.verify(path.with_name("out.png"), path, editors, **FEW)
    assert again.drop == min(one.drop for one in again.each)
    assert weakest(again.each[::-1]).editor == again.editor
    assert len(again.others) == 1


def test_least_visible_change_makes_the_wanted_fall_in_all(editors: list[Any], path: Path) -> None:
    settings = ProtectSettings(
        method="least-visible", fall=0.05, steps=20, robust="off", blocks="double:0"
    )
    photo, steps = load_photo(path), []
    search = protect_steps(photo, Crew(editors), settings)
    steps = list(search)
    assert steps[-1].best_value < 0.98 * steps[-1].start_value


def test_each_editor_chooses_its_own_blocks(editors: list[Any], path: Path) -> None:
    crew = Crew(editors)
    settings = prepare(crew, load_photo(path), ProtectSettings(blocks="auto"))
    assert settings.blocks == "auto"
    assert set(crew.blocks) == set(NAMES)


def test_taking_turns_gives_the_same_picture(
    folders: dict[str, Path], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ProtectSettings(**STRONG | {"steps": 2})
    photo = load_photo(path)
    pictures = []
    for free in (2**60, 0):
        crew = Crew(load(folders))
        monkeypatch.setattr("decontext.preparing.free_memory", lambda _, free=free: free)
        prepare(crew, photo, settings)
        assert crew.together == (free > 0)
        (*_, last) = protect_steps(photo, crew, settings)
        pictures.append(last.image)
    assert torch.equal(*pictures)
    first, second = crew
    assert count_held(first) == 0 < count_held(second)


def count_held(editor: Any) -> int:
    """Numbers of the transformer that are in memory."""
    weights = editor._transformer.model.parameters()
    return sum(weight.numel() for weight in weights if not weight.is_meta)


def test_estimate_is_of_all_editors(editors: list[Any], path: Path) -> None:
    photo, settings = load_photo(path), ProtectSettings(**STRONG)
    both = estimate_run(photo, Crew(editors), settings)
    each = [estimate_run(photo, editor, settings) for editor in editors]
    assert both is not None
    assert both.seconds == pytest.approx(sum(one.seconds for one in each if one), rel=0.2)
    assert set(both.sizes) == {size for one in each if one for size in one.sizes}


def test_no_editor_and_the_same_twice_are_told(editors: list[Any]) -> None:
    with pytest.raises(InputError, match="no editor was given"):
        gather([])
    with pytest.raises(InputError, match="each may be given once"):
        gather([editors[0], editors[0]])


def test_what_fell_short_is_told_of_every_editor(editors: list[Any], path: Path) -> None:
    with pytest.raises(NotProtectedError) as error:
        decontext.protect(
            path, editors, **STRONG | {"epsilon": 1 / 255, "steps": 1, "step_limit": 1}
        )
    assert "flux-kontext" in str(error.value)
    assert "flux2-klein" in str(error.value)


def test_command_line_takes_editors_with_their_weights(
    folders: dict[str, Path], path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [f"--editor={name}={folders[name]}" for name in NAMES]
    few = ["--device", "cpu", "--blocks", "double:0"]
    run = ["protect", str(path), "-o", str(tmp_path / "out.png"), *chosen, *few, "--accept-weak"]
    steps = ["--method", "sign", "--epsilon", "64/255", "--steps", "6", "--step-limit", "6"]
    assert cli.run([*run, *steps, "--robust", "off", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in report["editors"]] == NAMES
    assert len(report["verification"]["others"]) == 1
    measured = ["verify", str(tmp_path / "out.png"), "--original", str(path), *chosen, *few]
    assert cli.run([*measured, "--require", "weak"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)


def test_folder_is_protected_and_measured_against_all(
    folders: dict[str, Path], path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "me.png").write_bytes(path.read_bytes())
    chosen = [f"--editor={name}={folders[name]}" for name in NAMES]
    few = ["--device", "cpu", "--blocks", "double:0", "--json"]
    run = ["protect", str(photos), "-o", str(output), *chosen, *few, "--accept-weak"]
    steps = ["--method", "sign", "--epsilon", "64/255", "--steps", "6", "--step-limit", "6"]
    run += [*steps, "--robust", "off"]
    assert cli.run(run) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"weak": 1}
    heading, row = map(json.loads, (output / "manifest.jsonl").read_text().splitlines())
    assert heading["editor"] == "flux-kontext + flux2-klein"
    report = json.loads((output / "me.png.json").read_text())
    assert [each["name"] for each in report["editors"]] == NAMES
    assert row["drop"] == report["verification"]["drop"]
    # A result whose row a kill cut off is known again by the editors' names.
    (output / "manifest.jsonl").write_text(json.dumps(heading) + "\n")
    assert cli.run(run) == 0
    assert json.loads(capsys.readouterr().out)["photos"][0]["seconds"] < 1
    measured = ["verify", str(output), "--original", str(photos), *chosen, *few]
    assert cli.run([*measured, "--require", "weak"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["photos"]
    assert {found["editor"], found["others"][0]["editor"]} == set(NAMES)


def test_command_line_says_whose_weights_it_needs(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["--editor", "flux-kontext", "--editor", "flux2-klein"]
    assert cli.run(["protect", str(path), *both, "--weights", "folder"]) == 2
    assert "--editor NAME=WEIGHTS" in capsys.readouterr().err
