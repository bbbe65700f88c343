"""Many photos with a tiny editor: resumable, and no photo costs another."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import kills_many
import psutil
import pytest
import tiny_models
from kills_many import make_photos, make_work, protect_all, read_results

from decontext.errors import InputError
from decontext.folders import photo as one_photo
from decontext.folders.finding import find_tasks
from decontext.folders.manifest import ALREADY, FAILED, NAME, NOT_PROTECTED, WEAK
from decontext.folders.run import Progress, protect_folder, spread
from decontext.photo.lock import hold_lock

PHOTOS = 6


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("many") / "photos", PHOTOS)


@pytest.fixture(scope="module")
def whole(editor: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed run."""
    work = make_work(editor, tmp_path_factory.mktemp("whole"))
    rows = protect_all(photos, work)
    assert [row["status"] for row in rows] == [WEAK] * PHOTOS
    return work.folder


def _statuses(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in rows}


def test_every_photo_is_protected_under_its_own_name(whole: Path, photos: Path) -> None:
    assert set(read_results(whole)) == set(read_results(photos))
    assert all((whole / f"{name}.json").exists() for name in read_results(whole))
    assert not list(whole.glob(".*"))


def test_killed_at_random_it_goes_on_to_the_same_files(
    whole: Path, editor: Path, photos: Path, tmp_path: Path
) -> None:
    work = make_work(editor, tmp_path / "out")
    kills_many.kill_and_go_on(photos, work, kills=3, longest=1.0)
    rows = protect_all(photos, work)
    assert [row["status"] for row in rows] == [WEAK] * PHOTOS
    assert read_results(work.folder) == read_results(whole)
    assert kills_many.leftovers(work.folder) == []


def test_what_is_done_is_not_done_again(whole: Path, editor: Path, photos: Path) -> None:
    work = make_work(editor, whole)
    told: list[Progress] = []

    def load() -> Any:
        raise AssertionError("there was nothing to load the editor for")

    before = (whole / NAME).read_bytes()
    tasks = find_tasks([photos], whole, recursive=True)
    rows = list(protect_folder(tasks, work, load=load, on_progress=told.append))
    assert len(rows) == PHOTOS
    assert (whole / NAME).read_bytes() == before
    assert [(one.earlier, one.done) for one in told] == [(True, i + 1) for i in range(PHOTOS)]


def test_a_bad_photo_costs_no_other(editor: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"no picture")
    (folder / "b.png").write_bytes((photos / "photo-000.png").read_bytes())
    work = make_work(editor, tmp_path / "out")
    rows = protect_all(folder, work)
    assert _statuses(rows) == {"a.jpg": FAILED, "b.png": WEAK}
    assert "a.jpg is not a picture" in rows[0]["message"]
    assert _statuses(protect_all(folder, work)) == _statuses(rows)


def test_an_unexpected_error_is_said_of_its_photo(
    editor: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(one_photo, "protect", fail)
    rows = protect_all(photos, make_work(editor, tmp_path))
    assert {row["status"] for row in rows} == {FAILED}
    assert rows[0]["message"] == "unexpected error: RuntimeError: out of memory"


def test_a_protected_photo_is_recognised_by_its_report_and_as_a_result(
    whole: Path, editor: Path, tmp_path: Path
) -> None:
    rows = protect_all(whole, make_work(editor, tmp_path / "out"))
    assert {row["status"] for row in rows if "contact" not in row["name"]} == {ALREADY}
    assert rows[0]["message"] == "against flux-kontext, as the report beside it says"
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "x.png").write_bytes((whole / "photo-000.png").read_bytes())
    (row,) = protect_all(copy, make_work(editor, whole))
    assert (row["status"], row["message"]) == (
        ALREADY,
        "it is a result that lies in the output folder",
    )


def test_a_finished_file_without_a_row_is_taken_over(
    whole: Path, editor: Path, photos: Path, tmp_path: Path
) -> None:
    """What a kill between the photo and its row leaves."""
    for name in ("photo-000.png", "photo-000.png.json"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    (tmp_path / NAME).write_bytes((whole / NAME).read_bytes().split(b"\n")[0] + b"\n")
    (row,) = _one(photos / "photo-000.png", make_work(editor, tmp_path))
    assert row["status"] == WEAK
    assert row["seconds"] < 1


def test_a_foreign_file_is_overwritten_with_force_alone(
    editor: Path, photos: Path, tmp_path: Path
) -> None:
    source, target = photos / "photo-000.png", tmp_path / "photo-000.png"
    target.write_bytes(b"mine")
    (row,) = _one(source, make_work(editor, tmp_path))
    assert row["status"] == FAILED and "exists already" in row["message"]
    assert target.read_bytes() == b"mine"
    (row,) = _one(source, make_work(editor, tmp_path, force=True))
    assert row["status"] == WEAK


def test_what_does_not_measure_as_protected_is_not_tried_again(
    editor: Path, photos: Path, tmp_path: Path
) -> None:
    work = make_work(editor, tmp_path)
    weak = replace(work, settings=replace(work.settings, epsilon=1 / 255, steps=1, step_limit=1))
    (row,) = _one(photos / "photo-000.png", weak)
    assert row["status"] == NOT_PROTECTED and "did not measure as protected" in row["message"]
    assert _one(photos / "photo-000.png", weak) == [row]
    assert len((tmp_path / NAME).read_text().splitlines()) == 2


def test_a_second_run_into_the_same_folder_is_refused(
    editor: Path, photos: Path, tmp_path: Path
) -> None:
    with (
        hold_lock(tmp_path / NAME),
        pytest.raises(InputError, match=f"process {os.getpid()} is writing into"),
    ):
        protect_all(photos, make_work(editor, tmp_path))


def test_two_processes_make_the_same_files_though_one_is_killed(
    whole: Path, editor: Path, photos: Path, tmp_path: Path
) -> None:
    work = make_work(editor, tmp_path)
    tasks = find_tasks([photos], work.folder, recursive=True)
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.row is None and not killed:
            children = psutil.Process().children()
            workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    rows = list(protect_folder(tasks, work, devices=(None, None), on_progress=kill_one))
    assert killed
    assert _statuses(rows) == dict.fromkeys(read_results(whole), WEAK)
    assert read_results(work.folder) == read_results(whole)
    assert not [child for child in psutil.Process().children() if child.pid in killed]


def test_what_a_process_saved_before_it_died_is_taken_over(
    whole: Path, editor: Path, photos: Path, tmp_path: Path
) -> None:
    choice = kills_many.DiesWithItsFirstPhoto(
        "flux-kontext", source=str(editor), device="cpu", options={"marker": tmp_path / "died"}
    )
    work = replace(make_work(editor, tmp_path / "out"), editor=choice)
    tasks = find_tasks([photos / "photo-000.png"], work.folder)
    (row,) = protect_folder(tasks, work, devices=(None,))
    assert (tmp_path / "died").exists()
    assert (row["status"], row["message"]) == (WEAK, "")
    saved = read_results(work.folder)
    assert saved == {"photo-000.png": read_results(whole)["photo-000.png"]}


def test_processes_take_turns_over_the_devices() -> None:
    assert spread(None, []) == (None,)
    assert spread(2, []) == (None, None)
    assert spread(3, ["cuda:0", "cuda:1"]) == ("cuda:0", "cuda:1", "cuda:0")
    with pytest.raises(InputError, match="--jobs is 1, and there are 2 devices"):
        spread(1, ["cuda:0", "cuda:1"])


def _one(source: Path, work: Any) -> list[dict[str, Any]]:
    return list(protect_folder(find_tasks([source], work.folder), work, load=work.editor.load))


def test_rows_name_settings_editor_and_content(whole: Path) -> None:
    heading, row = map(json.loads, (whole / NAME).read_text().splitlines()[:2])
    assert heading["editor"] == "flux-kontext"
    assert heading["settings"]["steps"] == kills_many.SETTINGS.steps
    report = json.loads((whole / f"{row['name']}.json").read_text())
    assert row["original_sha256"] == report["files"]["original"]["sha256"]
    assert row["protected_sha256"] == report["files"]["protected"]["sha256"]
    assert row["drop"] == report["verification"]["drop"]
