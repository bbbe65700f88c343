"""Files appear whole or not at all, and the reason is given in words."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from decontext.errors import InputError
from decontext.photo.files import (
    ABANDONED,
    check_absent,
    check_writable,
    clear_leftovers,
    is_unfinished,
    make_folder,
    put_in_place,
    unfinished,
    write_whole,
)
from decontext.photo.lock import hold_lock


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


LONG = "n" * 300 + ".png"


@pytest.mark.parametrize("name", [LONG, "a\0b.png"])
@pytest.mark.parametrize("attempt", [check_writable, lambda path: write_whole(b"", path)])
def test_impossible_name_is_refused_before_the_work(tmp_path, name, attempt):
    with pytest.raises(InputError, match=r"cannot be written \((File name too long|embedded null)"):
        attempt(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [LONG, "a\0b"])
def test_folder_with_an_impossible_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot be made"):
        make_folder(tmp_path / name)


# Links


def test_link_that_leads_nowhere_is_not_overwritten_without_force(tmp_path):
    link = tmp_path / "out.png"
    link.symlink_to(tmp_path / "not mounted" / "photo.png")
    with pytest.raises(InputError, match="is a link that exists already"):
        check_absent(link, force=False)
    check_absent(link, force=True)


def test_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    original, link = tmp_path / "original.png", tmp_path / "out.png"
    original.write_bytes(b"the photo")
    link.symlink_to(original)
    write_whole(b"new", link)
    assert original.read_bytes() == b"the photo"
    assert not link.is_symlink() and link.read_bytes() == b"new"


# What a killed run leaves


def start(folder):
    """A process that has an unfinished file in the folder and waits; and the file."""
    code = (
        "import sys, time, pathlib; from decontext.photo.files import unfinished\n"
        f"with unfinished(pathlib.Path({str(folder)!r}) / 'photo.png') as path:\n"
        "    path.touch(); print(path, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def test_leftover_of_a_killed_process_is_cleared_and_nothing_of_a_living_one(tmp_path):
    (tmp_path / ".decontext-notes.txt").touch()
    (tmp_path / "photo.png").touch()
    process, left = start(tmp_path)
    try:
        assert is_unfinished(left) and left.suffix == ".png" and left.parent == tmp_path
        assert clear_leftovers(tmp_path) == () and left.exists()
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not (removed := clear_leftovers(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert removed == (left,)
    finally:
        process.kill()
        process.communicate()
    assert sorted(os.listdir(tmp_path)) == [".decontext-notes.txt", "photo.png"]


def test_own_unfinished_file_stays_until_it_is_done(tmp_path):
    with unfinished(tmp_path / "photo.webp") as path:
        path.touch()
        assert clear_leftovers(tmp_path) == () and path.exists()
    assert os.listdir(tmp_path) == []


def test_file_of_another_machine_is_left_alone_for_a_week(tmp_path):
    with unfinished(tmp_path / "photo.png") as path:
        name = path.name
    other = tmp_path / name.replace(name.split("-")[1], "0" * 8, 1)
    other.touch()
    assert clear_leftovers(tmp_path) == ()
    old = time.time() - ABANDONED - 60
    os.utime(other, (old, old))
    assert clear_leftovers(tmp_path) == (other,)


def test_number_of_a_process_given_anew_does_not_keep_a_leftover(tmp_path):
    with unfinished(tmp_path / "photo.png") as path:
        machine, process, started, rest = path.name.removeprefix(".decontext-").split("-")
    left = tmp_path / f".decontext-{machine}-{process}-{int(started) - 1}-{rest}"
    left.touch()
    assert clear_leftovers(tmp_path) == (left,)


@pytest.mark.parametrize("name", ["missing", LONG])
def test_folder_that_cannot_be_read_has_no_leftovers(tmp_path, name):
    assert clear_leftovers(tmp_path / name) == ()


@pytest.mark.parametrize("name", ["photo.png", ".photo.png", ".decontext-1-2-3-4.part.png"])
def test_other_names_are_no_leftovers(name):
    assert not is_unfinished(Path(name))


# Giving the name


@pytest.mark.parametrize("links", [True, False])
def test_file_that_came_meanwhile_is_not_replaced_without_force(tmp_path, monkeypatch, links):
    if not links:

        def fail(*_):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", fail)
    target = tmp_path / "out.png"
    for force in (False, True):
        with unfinished(target) as path:
            path.write_bytes(b"ours")
            target.unlink(missing_ok=True)
            put_in_place(path, target, force=force)
        assert target.read_bytes() == b"ours"
        target.write_bytes(b"theirs")
        with unfinished(target) as path:
            path.write_bytes(b"ours")
            if force:
                put_in_place(path, target, force=True)
            else:
                with pytest.raises(InputError, match="exists already"):
                    put_in_place(path, target, force=False)
        assert target.read_bytes() == (b"ours" if force else b"theirs")
        assert os.listdir(tmp_path) == ["out.png"]


def test_a_full_disk_takes_the_number_from_a_lock_and_not_the_lock(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fail)
    results = tmp_path / "results.jsonl"
    with hold_lock(results), pytest.raises(InputError, match="is writing into"), hold_lock(results):
        pass
