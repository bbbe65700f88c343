"""Many photos measured and edited with a tiny editor: paired by name, and none costs another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
from kills_many import make_photos, make_work, protect_all

from decontext import cli
from decontext.errors import InputError
from decontext.folders.verbs import find_pairs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("many") / "photos", 2)


@pytest.fixture(scope="module")
def protected(tiny: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = make_work(tiny, tmp_path_factory.mktemp("protected"))
    protect_all(photos, replace(work, settings=replace(work.settings, steps=40, step_limit=40)))
    (work.folder / "bad.png").write_bytes(b"no picture")
    (work.folder / "contact-sheet-1.jpg").write_bytes(b"not looked at")
    return work.folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny: Path) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        editor = ["--editor", "flux-kontext", "--weights", tiny, "--device", "cpu"]
        code = cli.run([str(argument) for argument in (*arguments, *editor)])
        return code, *capsys.readouterr()

    return run


def test_originals_are_found_by_name(tmp_path: Path) -> None:
    originals, results = tmp_path / "photos", tmp_path / "protected"
    for name in ("photos/a.gif", "photos/s/b.jpg", "protected/a.gif.png", "protected/s/b.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (results / "c.png").write_bytes(b"x")
    (results / "contact-sheet-1.jpg").write_bytes(b"x")
    pairs = find_pairs([results], originals, recursive=True)
    assert [(pair.name, pair.original) for pair in pairs] == [
        ("a.gif.png", originals / "a.gif"),
        ("c.png", None),
        ("s/b.jpg", originals / "s" / "b.jpg"),
    ]
    with pytest.raises(InputError, match="it must be the folder of theirs"):
        find_pairs([results], originals / "a.gif")
    with pytest.raises(InputError, match="is both, the protected photos and those before"):
        find_pairs([originals], originals)


def test_a_folder_is_measured_photo_by_photo(run: Run, photos: Path, protected: Path) -> None:
    arguments = ("verify", protected, "--original", photos, "-r", "--blocks", "double:0")
    code, out, _ = run(*arguments, "--require", "weak")
    assert code == 1
    assert out.startswith("bad.png: failed; there is no original of bad.png.")
    assert "sub/photo-001.jpg: weak; " in out and "3 photos: 1 failed, 2 weak" in out
    code, out, _ = run(*arguments, "--json")
    found = json.loads(out)
    assert found["counts"] == {"failed": 1, "weak": 2}
    assert found["photos"][0]["name"] == "bad.png"


def test_the_exit_code_is_that_of_all(
    run: Run, photos: Path, protected: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = (protected / "photo-000.png", protected / "sub" / "photo-001.jpg")
    arguments = ("verify", *both, "--original", photos, "--blocks", "double:0", "--require")
    assert run(*arguments, "weak")[0] == 0
    assert run(*arguments, "strong")[0] == 1
    code, _, err = run("verify", both[0], "--original", photos / "photo-000.png", "-r")
    assert code == 2 and "--recursive is for folders" in err


def test_a_folder_is_edited_and_goes_on(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes((photos / "photo-000.png").read_bytes())
    (folder / "bad.png").write_bytes(b"no picture")
    arguments = ("edit", folder, "smile", "-o", tmp_path / "edits", "--steps", 1)
    code, out, _ = run(*arguments)
    assert code == 1 and "bad.png: failed; " in out and "1 edited, 1 failed" in out
    first = (tmp_path / "edits" / "a.png").stat()
    code, out, _ = run(*arguments)
    assert "a.png: left as it was" in out and "1 left as it was, 1 failed" in out
    assert (tmp_path / "edits" / "a.png").stat().st_mtime_ns == first.st_mtime_ns
    code, out, _ = run(*arguments, "--force", "--json")
    assert json.loads(out)["counts"] == {"edited": 1, "failed": 1}
