"""What belongs to whom in a file of results, and what happens when something goes wrong."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.errors import AttentionError, InputError
from decontext.evaluation import photo_run
from decontext.evaluation.figures import Figures
from decontext.evaluation.page import write_page
from decontext.evaluation.plan import NONE, ORIGINAL, Plan, build_protections, find_photos
from decontext.evaluation.results import Row, merge_rows, name_photos, read_rows
from decontext.evaluation.run import Instruments, evaluate, load_instruments
from decontext.evaluation.spreadsheet import write_spreadsheets
from decontext.photo.lock import hold_lock
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.settings import ProtectSettings

PLAN = Plan(
    protections=build_protections(
        ("uniform",), (16 / 255,), settings=ProtectSettings(steps=1, blocks="double:0")
    ),
    transforms=(NONE,),
    prompts=("please smile",),
    edit_steps=1,
    measure_prompts=0,
    cut=False,
)


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    return load_instruments(PLAN)


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, files = tmp_path_factory.mktemp("portraits"), []
    for source, box in ((ASTRONAUT, (100, 0, 350, 250)), (GRACE_HOPPER, (100, 0, 450, 350))):
        files.append(folder / f"{source.stem}.png")
        with Image.open(source) as image:
            image.convert("RGB").crop(box).resize((64, 64)).save(files[-1])
    return files[0], files[1]


@pytest.fixture
def photos(portraits: tuple[Path, Path], tmp_path: Path) -> Path:
    """`a.png` and `b.png`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, source in zip("ab", portraits, strict=True):
        shutil.copy(source, folder / f"{name}.png")
    return folder


@pytest.fixture
def run(editor: Any, instruments: Instruments, photos: Path, tmp_path: Path) -> Any:
    """Evaluates the folder; gives the rows and what was made for them."""

    def evaluate_folder(**options: Any) -> tuple[list[Row], list[str]]:
        made: list[str] = []
        options = {"on_progress": lambda done, total, what: made.append(what)} | options
        rows = evaluate(
            find_photos(photos), tmp_path / "out", editor, PLAN, instruments=instruments, **options
        )
        return rows, [what for what in made if what]

    return evaluate_folder


def test_photo_that_was_replaced_is_evaluated_anew_and_the_other_is_not(
    run: Any, photos: Path, portraits: tuple[Path, Path]
) -> None:
    before, _ = run()
    shutil.copy(portraits[1], photos / "a.png")
    (photos / "b.png").unlink()
    (photos / "c.png").write_bytes(portraits[0].read_bytes())
    rows, made = run()
    # What was b.png is a.png now, and what was a.png is c.png: nothing is new.
    assert made == []
    names = {row["sha256"]: row["photo"] for row in before if row["kind"] == "photo"}
    renamed = {row["sha256"]: row["photo"] for row in rows if row["kind"] == "photo"}
    assert sorted(names.values()) == ["a.png", "b.png"]
    assert {names[key]: renamed[key] for key in names} == {"a.png": "c.png", "b.png": "a.png"}
    with Image.open(portraits[0]) as image:
        image.rotate(90).save(photos / "a.png")
    rows, made = run()
    assert {what.split(":")[0] for what in made} == {"a.png"}
    assert sorted(row["photo"] for row in rows if row["kind"] == "photo") == ["a.png", "c.png"]
    assert len([row for row in rows if row["kind"] == "edit"]) == 2 * 2


def test_copies_of_one_file_are_evaluated_once(run: Any, photos: Path) -> None:
    shutil.copy(photos / "a.png", photos / "c.png")
    rows, made = run()
    assert {what.split(":")[0] for what in made} == {"a.png", "b.png"}
    assert run()[1] == []
    (copy,) = [row for row in rows if row.get("status") == "duplicate"]
    assert (copy["photo"], copy["notes"]) == ("c.png", ["the same file as a.png"])
    assert Figures(rows).failed() == ()


def test_rows_that_know_only_names_are_read_but_not_continued(
    run: Any, tmp_path: Path, editor: Any, instruments: Instruments
) -> None:
    rows, _ = run()
    old = [{k: v for k, v in row.items() if k != "sha256"} for row in rows]
    file = tmp_path / "out" / "results.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in old), encoding="utf-8")
    assert Figures(read_rows([file])).identity(ORIGINAL) == Figures(rows).identity(ORIGINAL)
    again, made = run()
    assert {what.split(":")[0] for what in made} == {"a.png", "b.png"}
    assert all(row.get("sha256") for row in again[1:])
    assert len(merge_rows([*old, *again])) == len(again) == len(rows)


def test_any_failure_of_a_photo_is_its_own_and_is_tried_again(
    run: Any, editor: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, change = photo_run.load_photo, photo_run.protect_steps

    def load_badly(path: Path) -> Any:
        if path.name == "a.png":
            raise TypeError("'NoneType' object is not subscriptable")
        return load(path)

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("CUDA out of memory \udcff")

    monkeypatch.setattr(photo_run, "load_photo", load_badly)
    monkeypatch.setattr(photo_run, "protect_steps", fail)
    shutil.copy(photos / "b.png", photos / "c.png")
    with Image.open(photos / "c.png") as image:
        image.rotate(180).save(photos / "c.png")
    rows, _ = run()
    write_page(rows, tmp_path / "out", find_photos(photos))
    assert Figures(rows).failed() == (
        "a.png: TypeError: 'NoneType' object is not subscriptable",
        *(
            f"{name}, {PLAN.protections[0].key}: RuntimeError: CUDA out of memory \\udcff"
            for name in ("b.png", "c.png")
        ),
    )
    assert {row["photo"] for row in rows if row["kind"] == "edit"} == {"b.png", "c.png"}
    monkeypatch.setattr(photo_run, "load_photo", load)
    monkeypatch.setattr(photo_run, "protect_steps", change)
    rows, _ = run()
    assert Figures(rows).failed() == ()
    assert len([row for row in rows if row["kind"] == "edit"]) == 3 * 2


def test_failed_edit_of_one_version_leaves_the_others(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, calls = photo_run.edit, []

    def fail_once(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise AttentionError("no attention was seen.")
        return edit(*arguments, **options)

    monkeypatch.setattr(photo_run, "edit", fail_once)
    rows, _ = run()
    assert Figures(rows).failed() == ("a.png, the original: no attention was seen.",)
    assert len([row for row in rows if row["kind"] == "edit"]) == 3


def test_what_the_caller_raises_ends_the_evaluation(run: Any) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(on_progress=stop)
    rows, made = run()
    assert Figures(rows).failed() == ()
    assert len(made) < 6  # some were there


def test_lines_end_at_line_feeds_only(run: Any, photos: Path) -> None:
    (photos / "a.png").rename(photos / "a\u2028b\x85c.png")
    rows, _ = run()
    again, made = run()
    assert (again, made) == (rows, [])
    assert "a\u2028b\x85c.png" in {row.get("photo") for row in rows}


def test_line_that_was_cut_within_a_character_is_mended(run: Any, tmp_path: Path) -> None:
    rows, _ = run()
    file = tmp_path / "out" / "results.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + '{"kind": "edit", "photo": "ä'.encode()[:-1])
    assert read_rows([file]) == rows
    run()
    assert file.read_bytes() == whole


def test_second_evaluation_of_a_folder_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (
        hold_lock(tmp_path / "out" / "results.jsonl"),
        pytest.raises(InputError, match=f"process {os.getpid()} is writing into .*already"),
    ):
        run()
    run()
    assert not list((tmp_path / "out").glob("*.lock")) + list((tmp_path / "out").glob(".*"))


def _hold(path: Path, ready: Any) -> None:
    with hold_lock(path):
        ready.set()
        signal.pause()


def test_lock_of_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, results = context.Event(), tmp_path / "results.jsonl"
    process = context.Process(target=_hold, args=(results, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(InputError, match=f"process {process.pid} "), hold_lock(results):
        pass
    process.kill()
    process.join()
    assert (tmp_path / ".results.jsonl.lock").exists()
    with hold_lock(results):
        pass


def test_what_the_program_left_is_no_photo(photos: Path) -> None:
    for name in (".decontext-0123.png", ".a.png.0f3c.png", "a.protected.png", "z.png"):
        shutil.copy(photos / "a.png", photos / name)
    (photos / "z.png.json").write_text('{"format": "decontext-report-1"}')
    (photos / "b.png.json").write_text('["of another program"]')
    assert [path.name for path in find_photos(photos)] == ["a.png", "b.png"]
    (photos / "a.png").unlink()
    assert "a.protected.png" in {path.name for path in find_photos(photos)}


def test_folders_photos_and_what_lies_deeper_are_found_as_they_are_named(
    photos: Path, tmp_path: Path
) -> None:
    deep = photos / "deep"
    deep.mkdir()
    for name in ("a.png", "c.png"):
        shutil.copy(photos / "b.png", deep / name)
    report = photos / "report"
    report.mkdir()
    shutil.copy(photos / "b.png", report / "shown.png")
    found = find_photos(photos, recursive=True, without=report)
    assert found == (photos / "a.png", photos / "b.png", deep / "a.png", deep / "c.png")
    assert list(name_photos(found).values()) == ["a.png", "b.png", "deep/a.png", "c.png"]
    assert find_photos([deep / "c.png", photos]) == (deep / "c.png", *found[:2])
    with pytest.raises(InputError, match=r"no picture to evaluate in .*Sub-folders"):
        find_photos(_folder_in_folder(tmp_path))
    with pytest.raises(InputError, match="nothing does not exist"):
        find_photos([tmp_path / "nothing"])


def _folder_in_folder(place: Path) -> Path:
    (place / "outer" / "inner").mkdir(parents=True)
    return place / "outer"


def test_spreadsheets_hold_every_edit_and_a_summary(run: Any, tmp_path: Path) -> None:
    rows, _ = run()
    files = write_spreadsheets(rows, tmp_path / "out")
    assert [file.name for file in files] == [
        "edits.csv", "edits.parquet", "summary.csv", "summary.parquet",
    ]  # fmt: skip
    edits, summary = (
        list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))) for file in files[::2]
    )
    assert [cells["photo"] for cells in edits] == ["a.png", "a.png", "b.png", "b.png"]
    for cells, row in zip(edits, (row for row in rows if row["kind"] == "edit"), strict=True):
        value = row["identity"]["sface"]
        assert cells["identity_sface"] == ("" if value is None else repr(value))
        assert cells["instruction"] == "please smile"
        assert (tmp_path / "out" / cells["picture"]).exists()
    assert [cells["objective"] for cells in edits] == ["", "uniform"] * 2
    assert [cells["version"] for cells in summary] == ["the original", "uniform 16/255"]
    assert {cells["edits"] for cells in summary} == {"2"}
    assert float(summary[1]["levels"]) <= 16
    for table, file in zip((edits, summary), files[1::2], strict=True):
        typed = pyarrow.parquet.read_table(file).to_pylist()
        assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in typed] == table
    write_spreadsheets([row for row in rows if row["kind"] == "heading"], tmp_path)
    assert (tmp_path / "edits.csv").read_bytes() == b""
