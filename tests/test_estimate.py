"""Estimates, presets, working sizes, doctor and cache: what is said before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch

import decontext
from decontext import cli
from decontext.editors.weights import text as _text
from decontext.errors import InputError
from decontext.estimate import count_judging, estimate_run
from decontext.machine import describe_bytes, describe_seconds, free_memory, list_devices
from decontext.objectives import build_objective
from decontext.photo.images import Photo
from decontext.settings import PRESETS, USUAL_STEPS, ProtectSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def editor(folder: Path) -> Any:
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "me.png"
    Image.effect_noise((72, 56), 60).convert("RGB").save(path)
    return path


def picture(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(seed))


def gradient_of(editor: Any, settings: ProtectSettings) -> tuple[float, torch.Tensor]:
    image = picture().requires_grad_()
    objective = build_objective(editor, picture(), settings)
    value = objective(image, torch.Generator().manual_seed(3))
    value.backward()
    return float(value.detach()), image.grad


def test_draws_of_a_step_share_the_autoencoder(editor: Any, monkeypatch) -> None:
    """One pass through it for three draws, and the mean of their gradients."""
    from decontext.editors.flux import family

    calls = []
    original = family.encode_pixels
    monkeypatch.setattr(family, "encode_pixels", lambda *a: calls.append(1) or original(*a))
    value, gradient = gradient_of(editor, ProtectSettings(samples_per_step=3))
    assert len(calls) == 1
    generator = torch.Generator().manual_seed(3)
    single = build_objective(editor, picture(), ProtectSettings())
    image = picture().requires_grad_()
    mean = torch.stack([single(image, generator) for _ in range(3)]).mean()
    mean.backward()
    assert value == pytest.approx(float(mean.detach()), rel=1e-6)
    torch.testing.assert_close(gradient, image.grad, rtol=1e-5, atol=1e-9)


def test_several_working_sizes_count_alike(editor: Any) -> None:
    sizes = ("ordinary", "96", "ordinary,96")
    small, large, both = (gradient_of(editor, ProtectSettings(working_size=s)) for s in sizes)
    assert editor.working_size(48, 40, 96) == (112, 80)
    assert small[0] != large[0]
    assert not torch.equal(small[1], large[1]) and not torch.equal(both[1], small[1])
    assert (both[1] != 0).float().mean() > 0.99


def test_verification_measures_at_the_working_size(editor: Any) -> None:
    found = [
        decontext.verify(
            picture(1), picture(), editor, prompts=("smile",), noises=1, working_size=size
        )
        for size in ("ordinary", "96")
    ]
    assert found[0].original != found[1].original


def test_presets_are_settings(editor: Any) -> None:
    for name in PRESETS:
        assert ProtectSettings.from_dict(ProtectSettings.from_preset(name).to_dict())
    paper = ProtectSettings.from_preset("paper", steps=3)
    assert paper.epsilon * 255 == pytest.approx(12.75) and paper.steps == 3
    assert paper.first_step_size * 255 == pytest.approx(0.6375)
    assert paper.working_sides == (512,)
    with pytest.raises(InputError, match="preset is 'slow'; it must be one of paper, balanced"):
        ProtectSettings.from_preset("slow")


@pytest.mark.parametrize("size", ["10", "512,", "big", "512x512", ""])
def test_impossible_working_size_is_refused(size: str) -> None:
    with pytest.raises(InputError, match="working_size is"):
        ProtectSettings(working_size=size)


def test_least_visible_change_takes_no_more_steps_than_it_usually_does(editor: Any) -> None:
    photo = Photo(pixels=picture(), path=Path("me.png"), format="PNG", mode="RGB")
    usual, longer, short = (
        estimate_run(photo, editor, ProtectSettings(steps=steps)) for steps in (100, 1000, 5)
    )
    assert USUAL_STEPS + count_judging(ProtectSettings()) <= 60
    assert longer.seconds == pytest.approx(usual.seconds, rel=0.5)
    assert short.seconds < usual.seconds


def test_estimate_counts_steps_and_measurements(editor: Any) -> None:
    photo = Photo(pixels=picture(), path=Path("me.png"), format="PNG", mode="RGB")
    few, many, sizes = (
        estimate_run(photo, editor, ProtectSettings(**options))
        for options in (
            {"method": "sign", "steps": 10},
            {"method": "sign", "steps": 1000},
            {"method": "sign", "working_size": "ordinary,96"},
        )
    )
    assert 5 < many.seconds / few.seconds < 100
    assert few.memory > 0 and few.step_seconds > 0
    assert sizes.sizes == ((64, 64), (112, 80)) and sizes.step_seconds > few.step_seconds
    words = few.describe("cpu")
    assert words.startswith("estimate: about ") and "the editor sees the photo at 64 x 64" in words
    assert few.words.startswith("float32: ") and "are free" in few.words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (720, "12 min"), (12_000, "3 h 20 min"), (200_000, "2.3 days")],
)
def test_hours_are_called_hours(seconds: float, words: str) -> None:
    assert describe_seconds(seconds) == words


def test_machine_has_a_cpu_with_free_memory() -> None:
    *_, cpu = list_devices()
    assert cpu.name == "cpu" and 0 < cpu.free_memory <= cpu.total_memory
    assert free_memory(torch.device("cpu")) > 0
    assert describe_bytes(5.4 * 1024**3) == "5.4 GB"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.run([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_protect_says_what_it_will_take(capsys, photo: Path, folder: Path) -> None:
    code, out, err = run(
        capsys, "protect", photo, "--editor", "flux-kontext", "--weights", folder, "--device",
        "cpu", "--preset", "fast", "--steps", 20, "--epsilon", 64, "--method", "sign",
        "--robust", "off", "--blocks", "double:0", "--working-size", "64", "--samples-per-step", 2,
        "--json", "--stream-weights", "--accept-weak",
    )  # fmt: skip
    report = json.loads(out)
    assert code == 0, report
    assert "estimate: about" in err and "weights streamed block by block" in err
    assert report["settings"]["working_size"] == "64"
    assert report["settings"]["samples_per_step"] == 2
    assert report["machine"]["precision"].endswith(", streamed")


def test_quiet_says_nothing_of_it(capsys, photo: Path, folder: Path) -> None:
    code, out, err = run(
        capsys, "edit", photo, "smile", "-o", photo.with_name("e.png"), "--editor", "flux-kontext",
        "--weights", folder, "--device", "cpu", "--steps", 1, "--quiet", "--precision", "int8",
    )  # fmt: skip
    assert (code, out, err) == (0, "", "")


def test_options_of_another_editor_are_refused(capsys, photo: Path) -> None:
    code, _, err = run(capsys, "protect", photo, "--editor", "kontext-mini", "--stream-weights")
    assert code == 2 and "kontext-mini has no option --stream-weights" in err
    code, _, err = run(
        capsys, "protect", photo, "--editor", "kontext-mini", "--config", "x", "--preset", "fast"
    )
    assert code == 2 and "--config and --preset both name settings" in err


def test_doctor_names_devices_plans_and_gaps(capsys) -> None:
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "cpu: CPU, " in out and "flux-kontext: FLUX.1 Kontext [dev]" in out
    assert "--blocks paper at 1024 x 1024 on " in out
    assert "its weights (black-forest-labs/FLUX.1-Kontext-dev) are not in the hub's folder" in out
    code, out, _ = run(capsys, "doctor", "--json")
    found = json.loads(out)
    assert {editor["name"] for editor in found["editors"]} >= {"flux-kontext", "kontext-mini"}
    assert all(device["free_memory"] > 0 for device in found["devices"])


def test_cache_lists_and_clears(capsys, monkeypatch, tmp_path: Path, folder: Path) -> None:
    monkeypatch.setenv("DECONTEXT_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(_text, "RESIDENT_BELOW", 0)
    code, out, _ = run(capsys, "cache", "list")
    assert code == 0 and "0 encoded instructions" in out
    editor = decontext.load_editor("flux-kontext", source=folder, device="cpu")
    editor.encode_prompt("make the person smile")
    (tmp_path / "kept" / "text" / "broken.safetensors").write_bytes(b"x")
    code, out, _ = run(capsys, "cache", "list", "--json")
    assert [entry["instruction"] for entry in json.loads(out)["entries"]] == [
        "",
        "make the person smile",
    ]
    code, out, _ = run(capsys, "cache", "clear")
    assert code == 0 and "cleared" in out
    assert list((tmp_path / "kept" / "text").iterdir()) == []


@pytest.mark.parametrize(("megapixels", "most"), [(12, 0.9 * 1024**3), (48, 2.5e9)])
def test_memory_of_a_photo_is_said_and_bounded(editor: Any, megapixels: int, most: float) -> None:
    from decontext.estimate import photo_memory

    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    pixels = torch.zeros(1, 1, 1, 1).expand(1, 3, height, round(height * 4 / 3))  # no memory
    large = Photo(pixels, Path("large.jpg"), "JPEG", "RGB")
    needed = photo_memory(large, ProtectSettings())
    assert 3 * 4 * pixels[0, 0].numel() < needed < most
    estimate = estimate_run(large, editor, ProtectSettings())
    assert estimate is not None and estimate.photo_memory == needed
    assert f"{describe_bytes(needed)} for the photo" in estimate.describe("cpu")
