"""One photo of a store with a tiny editor: protected, taken over, left alone, and never raised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from kills_many import make_photos, make_work

from decontext.cluster.photo import Fetched, Job, fetch, protect_fetched, skip
from decontext.cluster.stores import Place, read, write
from decontext.folders.finding import Task
from decontext.folders.manifest import ALREADY, FAILED, WEAK
from decontext.folders.photo import Work, parse_report

NONE: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("one")
    return make_work(tiny_models.save_tiny_pipeline(folder / "editor"), folder / "unused")


@pytest.fixture(scope="module")
def place(store: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = make_photos(tmp_path_factory.mktemp("photos") / "photos", 1)
    place = Place.of(f"{store}/one")
    write(place.file("in/a.png"), (folder / "photo-000.png").read_bytes())
    write(place.file("in/bad.png"), b"no picture")
    return place


@pytest.fixture(scope="module")
def row(work: Work, place: Place) -> dict[str, Any]:
    return protect_fetched(_fetch(place, "a.png"), work.editor.load(), work, place)


def _fetch(place: Place, name: str, earlier: dict[str, Any] | None = None) -> Fetched:
    return fetch(Job(Task(place.file(f"in/{name}"), name), earlier))


def test_photo_and_report_lie_in_the_store(row: dict[str, Any], place: Place) -> None:
    report = parse_report(read(place.file("a.png.json")))
    assert row["status"] == WEAK and row["source"] == "s3://photos/one/in/a.png"
    assert report is not None and report["files"]["original"]["name"] == "a.png"
    assert report["files"]["protected"]["sha256"] == row["protected_sha256"]


def test_what_lies_there_is_taken_over(row: dict[str, Any], work: Work, place: Place) -> None:
    fetched = _fetch(place, "a.png")
    assert skip(fetched, work, place, NONE) is None
    taken = skip(fetched, replace(work, take_over=True), place, NONE)
    assert taken is not None
    assert {**taken, "seconds": 0} == {**row, "seconds": 0}


def test_a_row_of_an_earlier_run_counts_while_its_result_is_there(
    row: dict[str, Any], work: Work, place: Place
) -> None:
    assert skip(_fetch(place, "a.png", row), work, place, NONE) == row
    other = Place.of(f"{place.root}/elsewhere")
    assert skip(_fetch(place, "a.png", row), work, other, NONE) is None
    changed = row | {"original_sha256": "0"}
    assert skip(_fetch(place, "a.png", changed), work, place, NONE) is None


def test_a_protected_photo_is_left_alone(row: dict[str, Any], work: Work, place: Place) -> None:
    again = fetch(Job(Task(place.file("a.png"), "a.png")))
    found = skip(again, work, place, NONE)
    assert found is not None and found["status"] == ALREADY
    assert found["message"] == "against flux-kontext, as the report beside it says"
    write(place.file("in/copy.png"), again.content or b"")
    found = skip(_fetch(place, "copy.png"), work, place, frozenset({row["protected_sha256"]}))
    assert found is not None and found["status"] == ALREADY


def test_a_bad_photo_is_said_by_the_name_it_was_given(
    row: dict[str, Any], work: Work, place: Place
) -> None:
    del row
    editor = work.editor.load()
    found = protect_fetched(_fetch(place, "bad.png"), editor, work, place)
    assert found["status"] == FAILED
    assert found["message"].startswith("s3://photos/one/in/bad.png is not a picture")
    missing = skip(_fetch(place, "missing.png"), work, place, NONE)
    assert missing is not None and missing["status"] == FAILED
    there = protect_fetched(_fetch(place, "a.png"), editor, work, place)
    assert there["status"] == FAILED and "exists already" in there["message"]


def test_a_job_goes_through_text_unchanged() -> None:
    job = Job(Task("in/\udcff.png", "\udcff.png"), {"name": "ä"})
    assert job.to_json().isascii()
    assert Job.from_json(job.to_json()) == job


def test_a_store_that_cannot_be_written_is_said_of_the_photo(work: Work, place: Place) -> None:
    lost = Place.of("s3://no-such-bucket/out")
    found = protect_fetched(_fetch(place, "a.png"), work.editor.load(), work, lost)
    assert found["status"] == FAILED and "s3://no-such-bucket/out" in found["message"]
    assert not Path("s3:").exists()
