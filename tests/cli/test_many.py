"""`decontext protect` over folders, several photos and lists, as its user meets it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from kills_many import make_photos
from PIL import Image

from decontext import cli
from decontext.errors import InputError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    weights = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    method = [
        "--method",
        "sign",
        "--epsilon",
        "96",
        "--steps",
        20,
        "--step-limit",
        20,
        "--blocks",
        "double:0",
    ]
    editor = ["--editor", "flux-kontext", "--weights", weights, "--device", "cpu"]
    return [*editor, *method, "--robust", "off", "--accept-weak"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_photos(tmp_path_factory.mktemp("many") / "photos", 2)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_goes_on_and_names_what_failed(
    run: Run, photos: Path, tmp_path: Path, tiny: list[object]
) -> None:
    arguments = ("protect", photos, "-o", tmp_path / "out", "--recursive", *tiny)
    code, out, err = run(*arguments)
    assert code == 1
    assert "bad.jpg: failed; " in out and "3 photos: 1 failed, 2 weak" in out
    assert "3/3 sub/photo-001.jpg: weak" in err
    assert _files(tmp_path / "out") == {
        "contact-sheet-1.jpg",
        "index.html",
        "manifest.jsonl",
        "photo-000.png",
        "photo-000.png.json",
        "sub/photo-001.jpg",
        "sub/photo-001.jpg.json",
        "summary.csv",
    }
    code, out, err = run(*arguments, "--json")
    assert code == 1 and "photo-000" not in err
    printed = json.loads(out)
    assert printed["counts"] == {"failed": 1, "weak": 2}
    table = list(csv.DictReader(io.StringIO((tmp_path / "out/summary.csv").read_text())))
    assert [row["status"] for row in table] == ["failed", "weak", "weak"]
    assert float(table[1]["drop"]) <= float(table[2]["drop"])


def test_a_list_on_stdin_is_several_photos(
    run: Run, photos: Path, tmp_path: Path, tiny: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = io.TextIOWrapper(io.BytesIO(f"{photos / 'photo-000.png'}\n".encode()))
    monkeypatch.setattr("sys.stdin", listed)
    code, out, err = run("protect", "-", "-o", tmp_path / "out", "--quiet", *tiny)
    assert (code, out) == (0, ""), err
    with Image.open(tmp_path / "out" / "photo-000.png") as saved:
        assert saved.size == (72, 56)


def test_a_dry_run_measures_a_step_and_writes_nothing(
    run: Run, photos: Path, tmp_path: Path, tiny: list[object]
) -> None:
    arguments = ("protect", photos, "-r", "-o", tmp_path / "out", "--dry-run", *tiny)
    code, out, _ = run(*arguments, "--jobs", 2)
    assert code == 0
    assert "2 photos to protect, 0 done by an earlier run, 0 protected already, 1 that" in out
    assert "bad.jpg: cannot be read" in out
    assert "estimate: about" in out and "with 2 at a time; one step took" in out
    assert not (tmp_path / "out").exists()
    _, out, _ = run(*arguments, "--json")
    printed = json.loads(out)
    assert printed["waiting"] == 2 and printed["unreadable"] == ["bad.jpg"]
    assert printed["seconds"] > 20 * printed["step_seconds"] > 0


def test_names_and_what_is_missing_are_told_in_a_line_each(
    run: Run, photos: Path, tmp_path: Path, tiny: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "two\nlines \x1b[31m.png"
    odd.write_bytes((photos / "photo-000.png").read_bytes())

    def fail(*_: object, **__: object) -> None:
        raise InputError("index.html cannot be written.", "The disk is full.")

    monkeypatch.setattr("decontext.folders.summary.write_summary", fail)
    code, out, err = run("protect", odd, tmp_path / "gone.png", "-o", tmp_path / "out", *tiny)
    assert code == 1
    assert f"gone.png: failed; {tmp_path / 'gone.png'} is not there.\n" in out
    assert "2 photos: 1 failed, 1 weak" in out and "page:" not in out
    assert "the page is missing: index.html cannot be written. The disk is full." in err
    assert "1/2 two\\nlines \\x1b[31m.png: weak" in err
    assert (tmp_path / "out" / odd.name).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{photos}"], "photos is a folder; its photos need a folder for the results."),
        (["{photos}", "-o", "{photos}"], "the output is the folder of the photos itself"),
        (["{photos}/photo-000.png", "--recursive"], "--recursive is for folders and several"),
        (["{photos}/photo-000.png", "--jobs", "2"], "--jobs is for folders and several"),
        (["{photos}", "-o", "out", "--jobs", "0"], "--jobs is 0; it must be a whole number"),
    ],
)
def test_wrong_input_is_said_before_the_work(
    run: Run, photos: Path, tiny: list[object], arguments: list[str], said: str
) -> None:
    code, _, err = run("protect", *(a.format(photos=photos) for a in arguments), *tiny)
    assert code == 2
    assert said in err


def test_a_photo_that_cannot_be_written_is_told_by_the_name_it_would_have(
    run: Run, photos: Path, tmp_path: Path, tiny: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: object, photo: object, path: Path, **_: object) -> None:
        raise InputError(
            f"{path} cannot be written (No space left on device).", "The disk is full."
        )

    monkeypatch.setattr("decontext.saving.save_photo", fail)
    target = tmp_path / "out" / "photo-000.png"
    code, out, _ = run("protect", photos, "-o", target.parent, *tiny)
    assert code == 1
    assert f"failed; {target} cannot be written (No space left on device). The disk" in out
