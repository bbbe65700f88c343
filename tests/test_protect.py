"""The whole method on a tiny editor with random weights whose proportion can be lowered."""

from __future__ import annotations

import io
import json
import sys
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tiny_models
import torch
from PIL import Image, ImageCms
from torch import Tensor

import decontext
from decontext import Result
from decontext.errors import InputError, NotProtectedError
from decontext.keywords import choose_settings
from decontext.photo.images import levels, load_photo, read_pixels, to_array
from decontext.photo.portraits import ASTRONAUT
from decontext.progress import Meter, drain
from decontext.protect import improve, protect_steps, reach
from decontext.publishing.transforms import Transform
from decontext.report import Report, report_path, settings_from_report, sha256
from decontext.saving import AS_IT_IS, default_output, saved_as
from decontext.settings import CONTROLS, ObjectiveName

# Random weights hardly look at the content: a strong budget on one block still moves them.
STRONG = {
    "method": "sign",
    "epsilon": 64 / 255,
    "steps": 20,
    "blocks": "double:0",
    "robust": "off",
    "verify_prompts": 3,
}


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


def _save_photo(path: Path, mode: str = "RGB", size: tuple[int, int] = (72, 56)) -> Path:
    with Image.open(ASTRONAUT) as image:
        image.convert(mode).resize(size).save(path)
    return path


@pytest.fixture(scope="module")
def protected(editor: Any, tmp_path_factory: pytest.TempPathFactory) -> Result:
    photo = _save_photo(tmp_path_factory.mktemp("photo") / "me.png")
    output = default_output(photo)
    return decontext.protect(photo, editor, output=output, accept_weak=True, **STRONG)


def test_saved_photo_stays_within_budget_and_size(protected: Result) -> None:
    original = read_pixels(protected.path.with_name("me.png"))
    assert protected.image.shape == original.shape == (1, 3, 56, 72)
    assert 0 < levels(original, read_pixels(protected.path)) <= 64


def test_result_is_what_the_file_holds(protected: Result) -> None:
    assert torch.equal(protected.image, read_pixels(protected.path))
    assert json.loads(protected.path.with_name("me.protected.png.json").read_text()) == json.loads(
        json.dumps(protected.report)
    )


def test_proportion_fell_further_than_under_random_noise(protected: Result) -> None:
    verification = protected.verification
    assert verification.level == "weak"
    assert verification.drop > 3 * verification.random_drop
    assert verification.levels <= 64


def test_report_says_against_what_and_how_strongly(protected: Result) -> None:
    report = protected.report
    assert report["editor"]["name"] == "flux-kontext"
    assert report["epsilon"] == "64/255 of full range (64 levels)"
    assert "this editor only" in report["statement"]
    assert len(report["files"]["original"]["sha256"]) == 64
    assert report["versions"]["decontext"] == decontext.__version__
    assert settings_from_report(protected.path.with_name("me.protected.png.json")) == (
        protected.settings
    )


def test_settings_of_the_report_repeat_the_run_to_the_last_bit(
    protected: Result, editor: Any, tmp_path: Path
) -> None:
    settings = settings_from_report(protected.path.with_name("me.protected.png.json"))
    again = decontext.protect(
        protected.path.with_name("me.png"),
        editor,
        output=tmp_path / "again.png",
        settings=settings,
        accept_weak=True,
    )
    assert torch.equal(again.image, protected.image)


def test_another_seed_gives_another_photo(protected: Result, editor: Any, tmp_path: Path) -> None:
    photo = protected.path.with_name("me.png")
    other = decontext.protect(
        photo, editor, output=tmp_path / "b.png", seed=7, accept_weak=True, **STRONG
    )
    assert not torch.equal(other.image, protected.image)


@pytest.mark.parametrize("level", ["jpeg", "web", "strong"])
def test_robust_run_keeps_budget_and_repeats_itself(
    editor: Any, tmp_path: Path, level: Any
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png", size=(160, 120)))
    settings = decontext.ProtectSettings(**{**STRONG, "robust": level, "steps": 4})
    pictures = [drain(protect_steps(photo, editor, settings)) for _ in range(2)]
    assert torch.equal(*pictures)
    assert 0 < levels(photo.pixels, pictures[0]) <= 64


def test_photo_saved_as_jpeg_is_optimised_through_its_encoder(
    editor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = decontext.ProtectSettings(**{**STRONG, "steps": 3})
    seen = []
    original = Transform.__call__

    def see(transform: Transform, image: Tensor, *others: Any) -> Tensor:
        seen.append(transform.name.split("+")[0])
        return original(transform, image, *others)

    monkeypatch.setattr(Transform, "__call__", see)
    saving = saved_as(tmp_path / "me.jpg", 60)
    coarse = drain(protect_steps(photo, editor, settings, saving=saving))
    # Each step, and four cases of the check at the start and at the end.
    assert seen == [saving.name] * (3 + 2 * 4)
    plain = drain(protect_steps(photo, editor, settings))
    assert not torch.equal(coarse, plain)
    assert saved_as(tmp_path / "me.jpeg").name == "jpeg444-95"
    assert saved_as(tmp_path / "me.webp").name == "none"


@pytest.mark.parametrize("size", [(72, 57), (33, 120)])
def test_odd_and_long_photos_keep_their_size(
    editor: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    photo = _save_photo(tmp_path / "odd.png", size=size)
    output = tmp_path / "odd.out.png"
    decontext.protect(photo, editor, output=output, accept_weak=True, **STRONG)
    with Image.open(output) as saved:
        assert saved.size == size


def test_grey_photo_stays_grey(editor: Any, tmp_path: Path) -> None:
    photo, output = _save_photo(tmp_path / "grey.png", "L"), tmp_path / "out.png"
    result = decontext.protect(photo, editor, output=output, accept_weak=True, **STRONG)
    with Image.open(output) as saved:
        assert saved.mode == result.to_pil().mode == "L"


def test_orientation_and_profile_are_kept(editor: Any, tmp_path: Path) -> None:
    photo = tmp_path / "turned.jpg"
    with Image.open(ASTRONAUT) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        small = image.convert("RGB").resize((72, 56))
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        small.save(photo, exif=exif, quality=95, icc_profile=profile)
    output = tmp_path / "out.jpg"
    result = decontext.protect(photo, editor, output=output, accept_weak=True, **STRONG)
    with Image.open(output) as saved:
        assert saved.size == (72, 56)
        assert saved.getexif()[0x0112] == 6
        assert saved.info["icc_profile"] == profile
        assert result.to_pil().info["icc_profile"] == profile
    assert result.image.shape == (1, 3, 72, 56)  # upright


def test_steps_can_be_drawn_and_cancelled(editor: Any, tmp_path: Path) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = decontext.ProtectSettings(steps=5, blocks="double:0")
    steps = protect_steps(photo, editor, settings)
    first = next(steps)
    assert (first.index, first.steps) == (1, 5)
    assert 0 < first.value < 1
    steps.close()


def test_weak_protection_is_an_error_that_leaves_nothing(editor: Any, tmp_path: Path) -> None:
    photo = _save_photo(tmp_path / "me.png")
    with pytest.raises(NotProtectedError, match="did not measure as protected"):
        decontext.protect(photo, editor, epsilon=1 / 255, steps=1)
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]


def test_run_goes_on_to_its_step_limit_from_where_it_is_and_says_what_was_reached(
    editor: Any, tmp_path: Path
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = decontext.ProtectSettings(
        method="sign",
        epsilon=64 / 255,
        steps=4,
        step_limit=11,
        blocks="double:0",
        robust="off",
        verify_prompts=1,
    )
    seen: list[Any] = []
    pictures = list(improve(photo, editor, settings, on_step=seen.append))
    assert [steps for _, steps in pictures] == [4, 8, 11]
    assert [step.index for step in seen] == list(range(1, 12))
    assert [step.steps for step in seen] == [4] * 4 + [8] * 4 + [11] * 3
    first, second = ([step.best_value for step in seen[part]] for part in (slice(4), slice(4, 8)))
    assert second[0] <= first[-1] + 1e-3 and second[-1] < first[-1]
    with pytest.raises(NotProtectedError, match="after 11 steps") as error:
        decontext.protect(photo, editor, settings=settings)
    assert error.value.verification.level == "weak"
    assert error.value.verification.sentence in str(error.value)
    assert "--accept-weak" in error.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]


def test_what_was_measured_and_is_too_weak_makes_room_for_further_steps(
    editor: Any, tmp_path: Path
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = choose_settings(
        **{**STRONG, "verify_prompts": 1, "verify_noises": 1, "steps": 1, "step_limit": 3}
    )
    pictures: list[weakref.ref[Tensor]] = []

    def save(picture: Tensor) -> Tensor:
        assert not [one for one in pictures if one() is not None]
        saved = picture.clone()
        pictures.append(weakref.ref(saved))
        return saved

    meter = Meter(steps=1, passes=3)
    saved, found, steps = reach(
        "strong", photo, editor, settings, saving=AS_IT_IS, save=save, meter=meter
    )
    assert (len(pictures), steps, found.level == "strong") == (3, 3, False)
    assert levels(photo.pixels, saved) == found.levels > 0


def test_report_without_its_photo_is_replaced_and_another_file_is_not(
    editor: Any, tmp_path: Path
) -> None:
    photo = _save_photo(tmp_path / "me.png")
    output = tmp_path / "out.png"
    options = {**STRONG, "steps": 8, "accept_weak": True, "output": output}
    decontext.protect(photo, editor, **options)
    output.unlink()  # killed between report and photo
    decontext.protect(photo, editor, **options)
    output.unlink()
    report_path(output).write_text('{"format": "mine"}')
    with pytest.raises(InputError, match="exists already"):
        decontext.protect(photo, editor, **options)


def test_report_never_replaces_the_photo(editor: Any, tmp_path: Path) -> None:
    photo = tmp_path / "k.png.json"
    _save_photo(tmp_path / "k.webp").rename(photo)
    content = photo.read_bytes()
    with pytest.raises(InputError, match="the output must be another file"):
        decontext.protect(photo, editor, output=tmp_path / "k.png", force=True, **STRONG)
    assert photo.read_bytes() == content


def test_interrupted_run_leaves_nothing(editor: Any, tmp_path: Path) -> None:
    photo = _save_photo(tmp_path / "me.png")

    class MyStopError(Exception): ...

    def stop(*_: object) -> None:
        raise MyStopError

    def stop_while_measuring(progress: decontext.Progress) -> None:
        if progress.stage == "measuring":
            raise MyStopError

    options = {**STRONG, "steps": 2, "accept_weak": True, "output": tmp_path / "out.png"}
    for callback in ("on_step", "on_measure", "on_progress"):
        with pytest.raises(MyStopError):
            decontext.protect(photo, editor, **options, **{callback: stop})
    with pytest.raises(MyStopError):
        decontext.protect(photo, editor, **options, on_progress=stop_while_measuring)
    event = threading.Event()
    event.set()
    with pytest.raises(decontext.CancelledError, match="nothing was written"):
        decontext.protect(photo, editor, **options, cancel=event)
    answers = iter([False] * 4 + [True])
    with pytest.raises(decontext.CancelledError):
        decontext.protect(photo, editor, **options, cancel=lambda: next(answers))
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]


def test_existing_file_is_kept_without_force(editor: Any, tmp_path: Path) -> None:
    photo = _save_photo(tmp_path / "me.png")
    default_output(photo).write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        decontext.protect(photo, editor, output=default_output(photo), **STRONG)
    assert default_output(photo).read_bytes() == b"mine"


def test_photo_is_never_overwritten_by_itself(editor: Any, tmp_path: Path) -> None:
    photo = _save_photo(tmp_path / "me.png")
    with pytest.raises(InputError, match="which was given; the output must be another file"):
        decontext.protect(photo, editor, output=photo, force=True, accept_weak=True, **STRONG)


def test_unknown_setting_is_an_error(editor: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no setting is named 'epsilom'. Did you mean epsilon"):
        decontext.protect(_save_photo(tmp_path / "me.png"), editor, epsilom=3)


@pytest.mark.parametrize("objective", get_args(ObjectiveName))
def test_every_objective_lowers_its_value_within_the_budget(
    editor: Any, tmp_path: Path, objective: ObjectiveName
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = decontext.ProtectSettings(
        method="sign", steps=4, objective=objective, robust="off", blocks="double:0"
    )
    seen: list[Any] = []
    image = drain(protect_steps(photo, editor, settings), seen.append)
    assert 0 < levels(photo.pixels, image) <= 8
    if objective in CONTROLS:
        assert [step.steps for step in seen] == [1]
        assert 0 < seen[0].start_value < 1 and 0 < seen[0].value < 1
        assert torch.equal(seen[0].best, image)
    else:
        assert seen[-1].best_value < seen[0].start_value


@pytest.mark.parametrize("objective", CONTROLS)
def test_noise_that_nobody_optimised_is_never_called_protected(
    editor: Any, tmp_path: Path, objective: ObjectiveName
) -> None:
    photo = _save_photo(tmp_path / "me.png")
    with pytest.raises(NotProtectedError, match="did not measure as protected"):
        decontext.protect(photo, editor, accept_weak=True, **{**STRONG, "objective": objective})
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]


def test_edit_reads_a_file_and_gives_a_picture_of_the_working_size(
    editor: Any, tmp_path: Path
) -> None:
    photo = _save_photo(tmp_path / "me.png")
    picture = decontext.edit(photo, "make the person smile", editor, steps=2, seed=1)
    assert picture.shape[-2:] == editor.working_size(72, 56)[::-1]
    assert np.isfinite(picture.numpy()).all()


QUICK = {**STRONG, "steps": 4, "verify_prompts": 1, "verify_noises": 1, "accept_weak": True}


def test_any_kind_of_photo_goes_in_and_gives_the_same_and_nothing_is_written(
    editor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = _save_photo(tmp_path / "me.png")
    photo, content = load_photo(path), path.read_bytes()
    array = to_array(photo.pixels)
    with Image.open(path) as image:
        sources = [path, str(path), content, io.BytesIO(content), image.copy(), array]
    sources += [array / 255.0, photo.pixels, photo]
    results = [decontext.protect(source, editor, **QUICK) for source in sources]
    assert all(torch.equal(result.image, results[0].image) for result in results)
    assert all(result.path is None for result in results)
    assert list(folder.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "me.png"}
    pil = results[0].to_pil()
    assert (pil.mode, pil.size) == ("RGB", (72, 56))
    assert np.array_equal(np.asarray(pil), to_array(results[0].image))
    (measured,) = {decontext.verify(pil, source, editor).original for source in (array, content)}
    assert 0 < measured < 1


def test_ambiguous_photo_is_refused(editor: Any) -> None:
    with pytest.raises(InputError, match="its values go from 0 to 255"):
        decontext.protect(np.eye(40)[..., None].repeat(3, 2) * 255.0, editor, **QUICK)
    with pytest.raises(InputError, match="a batch of 2"):
        decontext.protect(torch.zeros(2, 3, 40, 40), editor, **QUICK)
    with pytest.raises(InputError, match="of type int"):
        decontext.protect(7, editor, **QUICK)


def test_result_is_saved_when_asked_and_measured_again_where_the_file_holds_other_pixels(
    editor: Any, tmp_path: Path
) -> None:
    path = _save_photo(tmp_path / "me.png")
    result = decontext.protect(path, editor, **QUICK)
    assert result.report["files"]["protected"] == {"name": None, "sha256": None}
    saved = result.save(tmp_path / "out.png")
    assert saved.path == tmp_path / "out.png"
    assert torch.equal(read_pixels(saved.path), result.image)
    assert saved.verification == result.verification
    assert settings_from_report(report_path(saved.path)) == result.settings
    assert saved.report["files"]["protected"]["sha256"] == sha256(saved.path)
    lossy = result.save(tmp_path / "out.jpg", quality=90)
    assert torch.equal(lossy.image, read_pixels(tmp_path / "out.jpg"))
    assert lossy.verification != result.verification
    with pytest.raises(NotProtectedError, match=r"saved as out2.jpg the photo does not measure"):
        replace(result, least="strong").save(tmp_path / "out2.jpg")
    with pytest.raises(InputError, match="exists already"):
        result.save(tmp_path / "out.png")
    with pytest.raises(InputError, match="the output must be another file"):
        result.save(path, force=True)
    names = {"me.png", "out.png", "out.png.json", "out.jpg", "out.jpg.json"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_printed_it_is_short_and_says_the_verdict(protected: Result) -> None:
    for text in (str(protected), repr(protected), str(protected.report), repr(protected.report)):
        assert "Weak: edits by flux-kontext may still show this person" in text
        assert len(text) < 500
    demonstration = {**protected.report, "editor": {"demonstration": True}}
    assert "demonstration editor" in str(Report(demonstration))
    assert json.loads(json.dumps(protected.report))["steps"] == 20


def test_progress_is_one_count_from_loading_to_saving(editor: Any, tmp_path: Path) -> None:
    seen: list[decontext.Progress] = []
    path = _save_photo(tmp_path / "me.png")
    options = {**QUICK, "steps": 2, "step_limit": 6, "epsilon": 2 / 255, "accept_weak": False}
    with pytest.raises(NotProtectedError):
        decontext.protect(path, editor, on_progress=seen.append, **options)
    stages = list(dict.fromkeys(one.stage for one in seen))
    assert stages == ["loading", "preparing", "optimising", "measuring"]
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert (seen[0].done, seen[0].total) == (0, 3 * 2 + 3)
    assert all(one.done <= one.total for one in seen)
    assert seen[-1].done == seen[-1].total == 3 * 6 + 3 * 3  # three rounds of steps and passes
    assert any("not strong yet, going on; step 3 of 4" in one.message for one in seen)


def test_many_photos_with_one_editor_and_a_bad_one_stops_nothing(
    editor: Any, tmp_path: Path
) -> None:
    path = _save_photo(tmp_path / "me.png")
    photos = [path, tmp_path / "none.png", load_photo(path).pixels]
    folder = tmp_path / "out"
    folder.mkdir()
    outcomes = list(decontext.protect_many(iter(photos), editor, folder=folder, **QUICK))
    assert [source is photo for (source, _), photo in zip(outcomes, photos, strict=True)] == (
        [True] * 3
    )
    (_, first), (_, second), (_, third) = outcomes
    assert isinstance(second, InputError) and "there is no file" in str(second)
    assert isinstance(first, Result) and isinstance(third, Result)
    assert torch.equal(first.image, third.image)
    assert {path.name for path in folder.glob("*.png")} == {
        "me.protected.png",
        "photo.protected.png",
    }


def test_many_photos_are_refused_at_once_for_a_bad_option_and_stopped_by_the_caller(
    editor: Any, tmp_path: Path
) -> None:
    path = _save_photo(tmp_path / "me.png")
    with pytest.raises(InputError, match="no setting is named 'stepz'"):
        decontext.protect_many([path], editor, stepz=3)
    with pytest.raises(decontext.CancelledError):
        list(decontext.protect_many([path, path], editor, cancel=lambda: True, **QUICK))


def test_too_little_memory_is_an_error_of_decontext(
    editor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr(sys.modules["decontext.protect"], "prepare", fail)
    with pytest.raises(decontext.MemoryShortError, match="the memory of this machine"):
        decontext.protect(_save_photo(tmp_path / "me.png"), editor, **QUICK)


def test_large_photo_comes_out_as_any_other(
    editor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = load_photo(_save_photo(tmp_path / "me.png"))
    settings = choose_settings(**{**STRONG, "steps": 2, "step_limit": 5, "momentum": 0.0})
    ordinary = [picture for picture, _ in improve(photo, editor, settings)]
    monkeypatch.setattr("decontext.pgd.LARGE_PHOTO", 16)
    large = [picture for picture, _ in improve(photo, editor, settings)]
    assert len(ordinary) == len(large) == 3
    assert all(torch.equal(*pair) for pair in zip(ordinary, large, strict=True))
