"""Which photos a run is over, and where each result goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decontext.errors import InputError
from decontext.folders.finding import find_tasks, split_list


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def _names(inputs: list[Path], output: Path, *, recursive: bool = False) -> list[str]:
    return [task.name for task in find_tasks(inputs, output, recursive=recursive)]


def test_results_have_the_names_and_sub_folders_of_the_photos(tmp_path: Path) -> None:
    photos = _touch(tmp_path / "photos", "b.JPG", "a.png", "sub/deep/c.webp", "sub/notes.txt")
    assert _names([photos], tmp_path / "out") == ["a.png", "b.JPG"]
    assert _names([photos], tmp_path / "out", recursive=True) == [
        "a.png",
        "b.JPG",
        "sub/deep/c.webp",
    ]


def test_hidden_unfinished_and_finished_results_are_no_photos(tmp_path: Path) -> None:
    photos = _touch(
        tmp_path,
        "a.png",
        ".hidden.png",
        ".folder/b.png",
        f".decontext-00000000-1-1-{'0' * 16}.part.png",
        "out/a.png",
    )
    assert _names([photos], tmp_path / "out", recursive=True) == ["a.png"]


def test_single_files_keep_the_path_below_the_folder_they_share(tmp_path: Path) -> None:
    photos = _touch(tmp_path, "x/1/a.png", "x/2/a.png", "x/b.png")
    files = [photos / "x/1/a.png", photos / "x/2/a.png"]
    assert _names(files, tmp_path / "out") == ["1/a.png", "2/a.png"]
    assert _names([photos / "x/b.png"], tmp_path / "out") == ["b.png"]


def test_formats_that_are_only_read_become_png(tmp_path: Path) -> None:
    assert _names([_touch(tmp_path / "p", "a.gif")], tmp_path / "out") == ["a.gif.png"]


def test_two_photos_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = _touch(tmp_path / "1", "a.png"), _touch(tmp_path / "2", "A.png")
    with pytest.raises(InputError, match="would both be saved as A.png"):
        find_tasks([one, two], tmp_path / "out")


def test_output_named_like_a_picture_is_refused_for_several_photos(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="out.jpg is named like a picture"):
        find_tasks([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out.jpg")


def test_output_must_be_another_folder(tmp_path: Path) -> None:
    photos = _touch(tmp_path, "a.png")
    with pytest.raises(InputError, match="the output is the folder of the photos itself"):
        find_tasks([photos], photos)


def test_nothing_to_protect_is_an_error_that_names_recursive(tmp_path: Path) -> None:
    photos = _touch(tmp_path / "photos", "sub/a.png")
    with pytest.raises(InputError, match="no picture in .*photos.*--recursive"):
        find_tasks([photos], tmp_path / "out")


def test_a_linked_folder_is_not_followed(tmp_path: Path) -> None:
    photos = _touch(tmp_path / "photos", "a.png")
    (photos / "again").symlink_to(photos, target_is_directory=True)
    assert _names([photos], tmp_path / "out", recursive=True) == ["a.png"]


def test_a_list_has_a_path_a_line_or_nul_between_them() -> None:
    assert split_list(b"a b.png\nc.png\n") == ["a b.png", "c.png"]
    assert split_list(b"a\nb.png\0c.png\0") == ["a\nb.png", "c.png"]
    assert [os.fsencode(name) for name in split_list(b"\xff.png\n")] == [b"\xff.png"]
