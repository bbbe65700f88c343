"""Photos of stores are found as those of folders are."""

from __future__ import annotations

from pathlib import Path

import pytest

from decontext.cluster.finding import find_photos
from decontext.cluster.stores import Place, write
from decontext.errors import InputError


@pytest.fixture
def prefix(store: str, tmp_path: Path) -> str:
    place = Place.of(f"{store}/{tmp_path.name}")
    for name in ("b.png", "a.gif", "sub/c.jpg", "note.txt", ".x/d.png", "out/e.png"):
        write(place.file(name), b"x")
    return place.root


def test_photos_keep_their_names_below_a_prefix(prefix: str) -> None:
    output = Place.of(f"{prefix}/out")
    found = find_photos([prefix], output, recursive=True)
    assert {(task.source, task.name) for task in found} == {
        (f"{prefix}/b.png", "b.png"),
        (f"{prefix}/a.gif", "a.gif.png"),
        (f"{prefix}/sub/c.jpg", "sub/c.jpg"),
    }
    assert [task.name for task in find_photos([prefix], output)] == ["a.gif.png", "b.png"]


def test_folders_objects_and_prefixes_go_together(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "g.png").write_bytes(b"x")
    inputs = [str(tmp_path / "f"), f"{prefix}/sub/c.jpg"]
    found = find_photos(inputs, Place.of("s3://photos/elsewhere"))
    assert [(task.source, task.name) for task in found] == [
        (str(tmp_path / "f" / "g.png"), "g.png"),
        (f"{prefix}/sub/c.jpg", "c.jpg"),
    ]


def test_what_cannot_be_is_said(prefix: str) -> None:
    with pytest.raises(InputError, match="the output is the place of the photos itself"):
        find_photos([prefix], Place.of(prefix))
    with pytest.raises(InputError, match="there is no picture in s3://photos/empty"):
        find_photos(["s3://photos/empty"], Place.of("s3://photos/out"))
    with pytest.raises(InputError, match="would both be saved as c.jpg"):
        find_photos([f"{prefix}/sub/c.jpg", f"{prefix}/sub"], Place.of("s3://photos/out"))
