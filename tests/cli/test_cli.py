"""The command line as its user meets it: exit codes, what is printed where, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

from decontext import cli
from decontext.photo.portraits import ASTRONAUT

SIZE = (72, 56)
BLOCK = "double:0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny editor in the published layout; random weights."""
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize(SIZE).save(path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def tiny(weights: Path) -> list[object]:
    return ["--editor", "flux-kontext", "--weights", weights, "--device", "cpu"]


@pytest.fixture
def protect_options(tiny: list[object]) -> list[object]:
    """A strong budget on one block, with which even random weights lose sight of the photo."""
    return [*tiny, "--method", "sign", "--epsilon", "64", "--steps", "20", "--blocks", BLOCK,
            "--robust", "off", "--accept-weak"]  # fmt: skip


def _pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image, np.int16)


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_protect_saves_photo_and_report_and_says_what_it_understood(
    run: Any, photo: Path, protect_options: list[object]
) -> None:
    code, out, err = run("protect", photo, *protect_options)
    assert code == 0, err
    assert _files(photo.parent) == {"me.png", "me.protected.png", "me.protected.png.json"}
    assert "epsilon is 64/255 of full range (64 levels)" in out
    assert "Weak: edits by flux-kontext may still show this person" in out
    before, after = _pixels(photo), _pixels(photo.with_name("me.protected.png"))
    assert before.shape == after.shape
    assert 0 < np.abs(before - after).max() <= 64


def test_protect_json_is_one_object_and_a_report_repeats_the_run(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object], protect_options: list[object]
) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    code, out, _ = run("protect", photo, "-o", first, *protect_options, "--seed", 3, "--json")
    assert code == 0
    printed = json.loads(out)
    assert printed["protected"] is False
    assert printed["verification"]["level"] == "weak"
    assert printed["output"] == str(first)
    assert printed["settings"]["seed"] == 3
    report = tmp_path / "first.png.json"
    code, _, err = run(
        "protect", photo, "-o", second, *tiny, "--accept-weak", "--config", report, "--quiet"
    )
    assert code == 0, err
    assert first.read_bytes() == second.read_bytes()


def test_an_option_counts_more_than_the_report(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object], protect_options: list[object]
) -> None:
    run("protect", photo, *protect_options)
    report = photo.with_name("me.protected.png.json")
    output = tmp_path / "other.png"
    _, out, _ = run(
        "protect",
        photo,
        "-o",
        output,
        *tiny,
        "--config",
        report,
        "--accept-weak",
        "--steps",
        11,
        "--json",
    )
    settings = json.loads(out)["settings"]
    assert settings["steps"] == 11
    assert settings["epsilon"] == 64 / 255


def test_report_of_an_early_version_repeats_its_run(
    run: Any, photo: Path, tiny: list[object]
) -> None:
    report = Path(__file__).parents[1] / "old_reports" / "commit-0dd7e44.json"
    code, out, err = run(
        "protect", photo, *tiny, "--config", report, "--epsilon", 64, "--accept-weak", "--json"
    )
    assert code == 0, err
    old = json.loads(report.read_text(encoding="utf-8"))["settings"]
    assert json.loads(out)["settings"].items() >= (old | {"epsilon": 64 / 255}).items()
    assert json.loads(out)["settings"]["method"] == "sign"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--objective", "magic", "objective is 'magic'; it must be one of context-proportion"),
        ("--robust", "very", "robust is 'very'; it must be one of off, jpeg, web, strong"),
    ],
)
def test_unknown_objective_or_level_is_refused_before_the_work(
    run: Any, photo: Path, tiny: list[object], option: str, value: str, said: str
) -> None:
    code, _, err = run("protect", photo, *tiny, option, value)
    assert code == 2
    assert said in err
    assert _files(photo.parent) == {"me.png"}


def test_noise_as_a_control_is_not_protected_and_leaves_no_file(
    run: Any, photo: Path, protect_options: list[object]
) -> None:
    code, _, err = run("protect", photo, *protect_options, "--objective", "random-sign")
    assert code == 1
    assert "did not measure as protected" in err
    assert _files(photo.parent) == {"me.png"}


def test_edit_can_be_made_blind_in_chosen_blocks(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object]
) -> None:
    edits = {}
    for name, cut in (("seeing", []), ("blind", ["--cut-context", "all"])):
        output = tmp_path / f"{name}.png"
        code, out, err = run(
            "edit", photo, "smile", "-o", output, *tiny, "--steps", 2, *cut, "--json"
        )
        assert code == 0, err
        edits[name] = (json.loads(out)["cut_context"], _pixels(output))
    assert (edits["seeing"][0], edits["blind"][0]) == (None, "all")
    assert np.abs(edits["seeing"][1] - edits["blind"][1]).max() > 0
    code, _, err = run(
        "edit", photo, "smile", "-o", tmp_path / "x.png", *tiny, "--cut-context", "triple"
    )
    assert code == 2
    assert "no blocks are named 'triple'" in err


def test_analyze_writes_a_page_and_numbers(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object]
) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "analysis"
    code, out, err = run("analyze", photo, "-o", folder, *tiny, "--steps", 1, "--json")
    assert code == 0, err
    assert _files(folder) == {"index.html", "analysis.json"}
    assert json.loads(out) == json.loads((folder / "analysis.json").read_text("utf-8"))
    code, _, err = run("analyze", photo, "-o", folder, *tiny)
    assert code == 2
    assert "index.html exists already" in err


def test_quiet_prints_nothing(run: Any, photo: Path, protect_options: list[object]) -> None:
    assert run("protect", photo, *protect_options, "--quiet") == (0, "", "")


def test_verify_tells_a_protected_photo_from_an_untouched_copy(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object], protect_options: list[object]
) -> None:
    run("protect", photo, *protect_options)
    protected = photo.with_name("me.protected.png")
    weak = ["verify", protected, "--original", photo, *tiny, "--blocks", BLOCK]
    code, out, _ = run(*weak)
    assert code == 1
    assert out.startswith("Weak: edits by flux-kontext may still show this person (attention")
    assert run(*weak, "--require", "weak")[0] == 0
    code, _, err = run(*weak, "--require", "some")
    assert (code, "it must be strong or weak" in err) == (2, True)
    copy = tmp_path / "copy.png"
    copy.write_bytes(photo.read_bytes())
    code, out, _ = run("verify", copy, "--original", photo, *tiny)
    assert code == 1
    assert out.startswith("None: this photo does not measure as protected against flux-kontext")
    code, out, _ = run("verify", copy, "--original", photo, *tiny, "--json")
    assert code == 1
    assert json.loads(out)["protected"] is False
    code, out, _ = run("verify", copy, "--original", photo, *tiny, "--transforms", "blur-2,flip")
    assert code == 1
    assert "blurred by 2 pixels: none; it is an unchanged copy of the original" in out
    assert "mirrored: none" in out


def test_unknown_transform_is_told_before_the_weights_are_loaded(run: Any, photo: Path) -> None:
    arguments = ["verify", photo, "--original", photo, "--editor", "flux-kontext"]
    code, _, err = run(*arguments, "--transforms", "sepia")
    assert code == 2
    assert "no transform is named 'sepia'" in err


def test_edit_saves_a_picture_at_the_working_size(
    run: Any, photo: Path, tmp_path: Path, tiny: list[object]
) -> None:
    output = tmp_path / "edit.jpg"
    arguments = ["edit", photo, "make the person smile", "-o", output, *tiny, "--steps", 1]
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    width, height = json.loads(out)["size"]
    assert _pixels(output).shape == (height, width, 3)
    code, out, err = run(*arguments)
    assert code == 2
    assert f"{output} exists already." in err
    assert run(*arguments, "--force")[0] == 0


def test_editors_are_listed_and_the_demonstration_editor_is_called_one(run: Any) -> None:
    code, out, _ = run("editors")
    assert code == 0
    assert "flux-kontext" in out
    assert "protected against nothing else" in out
    infos = {info["name"]: info for info in json.loads(run("editors", "--json")[1])["editors"]}
    assert infos["kontext-mini"]["demonstration"] is True
    assert infos["flux-kontext"]["demonstration"] is False


@pytest.mark.parametrize("command", ["protect", "verify", "edit"])
def test_without_an_editor_the_choices_are_listed_and_nothing_is_done(
    run: Any, photo: Path, command: str
) -> None:
    rest = {
        "protect": [],
        "verify": ["--original", photo],
        "edit": ["smile", "-o", photo.with_name("edit.png")],
    }[command]
    code, out, err = run(command, photo, *rest)
    assert code == 2
    assert out == ""
    assert "no editor was chosen" in err
    assert "flux-kontext" in err
    assert "kontext-mini" in err
    assert _files(photo.parent) == {"me.png"}


def _bad_inputs(folder: Path) -> dict[str, tuple[list[object], str]]:
    """Arguments after `protect`, and a part of the message, by the name of the case."""
    photo = folder / "me.png"
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes(photo.read_bytes()[:400])
    Image.new("RGB", (15, 40)).save(folder / "small.png")
    return {
        "no such file": ([folder / "none.png"], "there is no file"),
        "a folder": ([folder], "is a folder"),
        "not a picture": ([folder / "text.png"], "is not a picture"),
        "truncated": ([folder / "cut.png"], "damaged or cut short"),
        "too small": ([folder / "small.png"], "at least 16"),
        "epsilon 0": ([photo, "--epsilon", "0"], "epsilon is 0"),
        "epsilon 300": ([photo, "--epsilon", "300"], "epsilon is 300"),
        "epsilon in words": ([photo, "--epsilon", "little"], "epsilon is 'little'"),
        "steps 0": ([photo, "--steps", "0"], "steps is 0"),
        "unknown blocks": ([photo, "--blocks", "triple:1"], "no blocks are named 'triple:1'"),
        "no such folder": ([photo, "-o", folder / "none" / "out.png"], "cannot be written"),
        "unknown ending": ([photo, "-o", folder / "out.xyz"], "out.xyz"),
        "the photo itself": ([photo, "-o", photo, "--force"], "the output must be another file"),
        "a config that is no report": ([photo, "--config", folder / "text.png"], "text.png"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "no such file",
        "a folder",
        "not a picture",
        "truncated",
        "too small",
        "epsilon 0",
        "epsilon 300",
        "epsilon in words",
        "steps 0",
        "unknown blocks",
        "no such folder",
        "unknown ending",
        "the photo itself",
        "a config that is no report",
    ],
)
def test_bad_input_is_explained_and_nothing_is_written(
    run: Any, photo: Path, tiny: list[object], case: str
) -> None:
    arguments, message = _bad_inputs(photo.parent)[case]
    before = _files(photo.parent)
    content = photo.read_bytes()
    code, out, err = run("protect", *arguments, *tiny)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    code, out, _ = run("protect", *arguments, *tiny, "--json")
    assert code == 2
    assert set(json.loads(out)) == {"error", "hint", "exit_code"}
    assert _files(photo.parent) == before
    assert photo.read_bytes() == content


def test_unknown_editor_is_explained(run: Any, photo: Path) -> None:
    code, _, err = run("protect", photo, "--editor", "flux")
    assert code == 2
    assert "no editor named 'flux'; available: flux-kontext, flux2-dev, " in err


def test_empty_instruction_is_explained(run: Any, photo: Path, tiny: list[object]) -> None:
    code, _, err = run("edit", photo, "  ", "-o", photo.with_name("edit.png"), *tiny)
    assert code == 2
    assert "the instruction is empty" in err


def test_missing_part_of_an_editor_is_named(
    run: Any, photo: Path, weights: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for part in weights.iterdir():
        if part.name != "vae":
            (broken / part.name).symlink_to(part)
    code, _, err = run("protect", photo, "--editor", "flux-kontext", "--weights", broken)
    assert code == 2
    assert "vae" in err


def test_existing_files_are_not_overwritten_without_force(
    run: Any, photo: Path, protect_options: list[object]
) -> None:
    output = photo.with_name("me.protected.png")
    output.write_bytes(b"precious")
    code, _, err = run("protect", photo, *protect_options)
    assert code == 2
    assert "exists already" in err
    assert output.read_bytes() == b"precious"
    assert run("protect", photo, *protect_options, "--force")[0] == 0
    assert output.read_bytes() != b"precious"


def test_photo_that_does_not_measure_as_protected_leaves_no_file(
    run: Any, photo: Path, tiny: list[object]
) -> None:
    code, out, err = run("protect", photo, *tiny, "--epsilon", "1", "--steps", "1")
    assert code == 1
    assert out == ""
    assert "did not measure as protected" in err
    assert _files(photo.parent) == {"me.png"}


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_wrong_usage_is_exit_code_2(run: Any, extra: list[str]) -> None:
    code, out, err = run("protect", *extra, "--nonsense")
    assert code == 2
    if extra:
        assert json.loads(out)["exit_code"] == 2
    else:
        assert "--nonsense" in err


def test_help_and_version_are_exit_code_0(run: Any) -> None:
    assert run()[0] == 0
    assert "protect" in run("--help")[1]
    assert run("--version")[1].startswith("decontext 0.")


@pytest.mark.parametrize("debug", [False, True])
def test_traceback_is_shown_with_debug_only(run: Any, tmp_path: Path, debug: bool) -> None:
    options = ["--editor", "flux-kontext", *(["--debug"] if debug else [])]
    code, _, err = run("protect", tmp_path / "none.png", *options)
    assert code == 2
    assert ("Traceback" in err) is debug


def test_unexpected_error_is_one_sentence_and_exit_code_1(
    run: Any, photo: Path, tiny: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("decontext.editors.load_editor", fail)
    code, out, err = run("protect", photo, *tiny)
    assert code == 1
    assert out == ""
    assert "unexpected error: MemoryError" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_leaves_no_half_file(
    photo: Path, tiny: list[object], stop: signal.Signals
) -> None:
    """A real process, a real signal, in the middle of the steps."""
    arguments = ["protect", photo, *tiny, "--steps", "100000", "--debug"]
    # A shell that starts the tests in the background has told them to ignore Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from decontext.progress import Meter; stepped = Meter.stepped\n"
    code += "def told(*a):\n    print('step', flush=True)\n    return stepped(*a)\n"
    code += "Meter.stepped = told\nfrom decontext.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "step\n"
            time.sleep(0.2)
            process.send_signal(stop)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "stopped" in err
    assert "Traceback" not in err
    assert _files(photo.parent) == {"me.png"}


def test_protecting_against_kontext_mini_says_that_it_protects_against_nothing_else(
    run: Any, photo: Path
) -> None:
    options = ["--epsilon", "12.75/255", "--steps", 20, "--accept-weak"]
    code, out, err = run("protect", photo, "--editor", "kontext-mini", *options)
    assert code == 0, err
    assert "demonstration editor" in err
    report = json.loads(photo.with_name("me.protected.png.json").read_text())
    assert "demonstration editor" in report["statement"]
    assert "epsilon is 0.05 of full range (12.75 levels)" in out
