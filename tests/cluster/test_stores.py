"""Files in a folder, in an S3 store and in one of fsspec's, all by the same words."""

from __future__ import annotations

from pathlib import Path

import pytest

from decontext.cluster.stores import Place, delete, exists, is_uri, read, walk, write
from decontext.errors import InputError


@pytest.fixture(params=["folder", "s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, store: str) -> Place:
    places = {"folder": str(tmp_path), "s3": f"{store}/{tmp_path.name}", "memory": "memory://x"}
    return Place.of(places[request.param])


def test_what_is_written_is_read_and_removed(place: Place) -> None:
    name = place.file("sub/a b%20ä#.png")
    assert read(name) is None and not exists(name)
    write(name, b"first")
    write(name, b"second")
    assert read(name) == b"second" and exists(name)
    delete(name)
    delete(name)
    assert read(name) is None and not exists(name)


def test_a_store_is_walked_in_order(store: str, tmp_path: Path) -> None:
    place = Place.of(f"{store}/{tmp_path.name}/walk/")
    for name in ("b.png", "a.png", "sub/c.png"):
        write(place.file(name), b"x")
    assert list(walk(place, recursive=True)) == ["a.png", "b.png", "sub/c.png"]
    assert list(walk(place, recursive=False)) == ["a.png", "b.png"]
    assert list(walk(Place.of(f"{store}/nothing"), recursive=True)) == []


def test_a_store_that_is_not_there_is_said_in_a_sentence(store: str) -> None:
    with pytest.raises(InputError, match="s3://no-such-bucket/a.png cannot be written"):
        write("s3://no-such-bucket/a.png", b"x")
    with pytest.raises(InputError, match="xyz://a/b cannot be read"):
        read("xyz://a/b")


def test_options_of_a_store_stay_with_its_files() -> None:
    place = Place.of("s3://bucket/photos/?endpoint_override=localhost:9000")
    assert place.file("a.png") == "s3://bucket/photos/a.png?endpoint_override=localhost:9000"
    assert not place.is_local
    with pytest.raises(InputError, match="no folder of this machine"):
        _ = place.path


def test_a_path_is_no_uri(tmp_path: Path) -> None:
    assert is_uri("s3://bucket/a") and is_uri("gs://bucket/a")
    assert not is_uri("a/b") and not is_uri("://a") and not is_uri("a b://c")
    assert Place.of(f"file://{tmp_path}") == Place.of(tmp_path)
