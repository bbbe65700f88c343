"""The least visible change against the embedded editor: wanted fall, copies, words, preview."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import decontext
from decontext.errors import InputError
from decontext.photo.images import levels, load_photo, psnr
from decontext.photo.portraits import ASTRONAUT
from decontext.preview import preview
from decontext.progress import drain
from decontext.protect import protect_steps
from decontext.settings import CAP, FLAT_BUDGET, ProtectSettings
from decontext.verdict import STRONG_DROP

FEW = {"verify_prompts": 4, "verify_noises": 1}
QUICK: dict[str, Any] = {"method": "least-visible", "robust": "off", "steps": 20, **FEW}


@pytest.fixture(scope="module")
def editor() -> Any:
    return decontext.load_editor("kontext-mini", device="cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").crop((96, 0, 352, 256)).resize((128, 128)).save(path)
    return path


@pytest.fixture(scope="module")
def result(editor: Any, path: Path) -> Any:
    return decontext.protect(path, editor, output=path.with_name("out.png"), **QUICK)


def test_wanted_fall_is_reached_and_not_passed_by_far(result: Any) -> None:
    assert result.settings.wanted_fall == 0.6
    assert 0.55 < result.verification.drop < 0.68
    assert result.verification.level == "strong"
    assert result.report["notes"] == []


def test_change_is_seen_less_than_sign_steps_of_the_same_fall(
    result: Any, editor: Any, path: Path
) -> None:
    flat = decontext.protect(
        path,
        editor,
        output=path.with_name("flat.png"),
        accept_weak=True,
        **QUICK | {"method": "sign", "epsilon": 4 / 255, "step_limit": 20},
    )
    assert flat.verification.drop < result.verification.drop + 0.05
    assert result.visibility.ssimulacra2 > flat.visibility.ssimulacra2


def test_report_says_how_visible_the_change_is(result: Any) -> None:
    seen = result.report["visibility"]
    assert seen["words"] == result.visibility.words
    assert seen["ssimulacra2"] == result.visibility.ssimulacra2
    assert result.report["epsilon"] == "16/255 of full range (16 levels)"
    assert result.verification.levels <= CAP
    again = decontext.ProtectSettings.from_dict(result.report["settings"])
    assert again == result.settings


def test_fall_that_cannot_be_reached_is_said_with_what_was(
    editor: Any, path: Path, tmp_path: Path
) -> None:
    weak = decontext.protect(
        path,
        editor,
        output=tmp_path / "weak.png",
        accept_weak=True,
        **QUICK | {"steps": 5, "step_limit": 5, "fall": 0.97, "epsilon": 6 / 255},
    )
    assert weak.report["notes"] == [
        f"attention was to fall by 97%, and fell by {weak.verification.drop:.0%}."
    ]


def test_run_through_copies_keeps_the_cap_and_repeats_itself(editor: Any, path: Path) -> None:
    photo = load_photo(path)
    settings = ProtectSettings(method="least-visible", robust="strong", steps=3, epsilon=5 / 255)
    pictures = [drain(protect_steps(photo, editor, settings)) for _ in range(2)]
    assert torch.equal(*pictures)
    assert 0 < levels(photo.pixels, pictures[0]) <= 5


def test_grey_photo_stays_grey(editor: Any, path: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    with Image.open(path) as image:
        image.convert("L").save(grey)
    photo = load_photo(grey)
    picture = drain(protect_steps(photo, editor, ProtectSettings(**QUICK | {"steps": 3})))
    assert levels(photo.pixels, picture) > 0
    assert torch.equal(picture[:, 0], picture[:, 1]) and torch.equal(picture[:, 0], picture[:, 2])


def test_preview_writes_one_picture_and_no_photo(editor: Any, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "look.png"
    settings = ProtectSettings(**QUICK | {"steps": 5, "step_limit": 5})
    shown = preview(path, editor, output=target, settings=settings)
    assert [file.name for file in tmp_path.iterdir()] == ["look.png"]
    assert json.loads(json.dumps(shown.to_dict()))["visibility"]["words"] == shown.visibility.words
    with Image.open(target) as picture:
        assert picture.width > 4 * 128
    with pytest.raises(InputError, match="exists already"):
        preview(path, editor, output=target, settings=settings)


def test_strengths_lie_above_the_bound_of_a_strong_verdict_and_rise() -> None:
    falls = [
        ProtectSettings(strength=name).wanted_fall  # type: ignore[arg-type]
        for name in ("gentle", "standard", "strong")
    ]
    assert STRONG_DROP < falls[0] < falls[1] < falls[2]
    assert ProtectSettings(fall=0.3).wanted_fall == 0.3


def test_epsilon_is_a_budget_of_sign_steps_and_a_cap_of_the_least_visible_change() -> None:
    assert ProtectSettings(method="sign").budget == FLAT_BUDGET / 255
    assert ProtectSettings(method="least-visible").budget == CAP / 255
    other = ProtectSettings(method="least-visible", objective="flow")
    assert other.budget == FLAT_BUDGET / 255 and not other.least_visible
    assert ProtectSettings.from_preset("paper").method == "sign"


def test_sign_steps_give_the_same_photo_as_before_there_was_a_choice(
    editor: Any, path: Path
) -> None:
    """The mean square error was noted before the least visible change was added."""
    photo = load_photo(path)
    settings = ProtectSettings(method="sign", epsilon=8 / 255, steps=3, robust="web")
    picture = drain(protect_steps(photo, editor, settings))
    assert psnr(photo.pixels, picture) == pytest.approx(SIGN_PSNR, abs=1e-3)


SIGN_PSNR = 32.83166
