"""Files appear whole or not at all, and the reason is given in words."""

import errno
import os
from pathlib import Path

import pytest

from decontext.errors import InputError
from decontext.photo.files import check_writable, write_whole


def test_content_is_written_and_nothing_else_is_left(tmp_path):
    write_whole(b"content", tmp_path / "file")
    write_whole(memoryview(b"other"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"other"
    assert os.listdir(tmp_path) == ["file"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    write_whole(b"", tmp_path / "ours")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="Create the folder first"):
        check_writable(tmp_path / "no" / "file")


def test_folder_in_the_way_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder; the result must be a file"):
        check_writable(tmp_path)


def test_check_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "Choose a folder that you may write to."),
        (errno.EROFS, "The disk is read-only"),
        (errno.ENOSPC, "The disk is full"),
        (errno.EIO, "Choose another place."),
    ],
)
def test_every_reason_has_a_hint(tmp_path, monkeypatch, number, hint):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "touch", fail)
    for attempt in (check_writable, lambda path: write_whole(b"", path)):
        with pytest.raises(InputError, match=hint) as caught:
            attempt(tmp_path / "file")
        assert os.strerror(number) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_unwritable_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="may write to"):
        check_writable(tmp_path / "file")
    tmp_path.chmod(0o700)
