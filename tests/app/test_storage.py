"""Private folders: who may read them, who gets which file, and that nothing is left."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from decontext.app.storage import (
    PREFIX,
    Storage,
    clear_leftovers,
    open_storage,
    plain_name,
)
from decontext.errors import InputError


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with open_storage(tmp_path) as storage:
        yield storage


def _upload(storage: Storage, name: str = "me.jpg", content: bytes = b"photo") -> Path:
    """What the web server leaves of an upload."""
    folder = storage.uploads / "hash-of-the-content"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_only_the_user_can_read_what_is_kept(storage: Storage) -> None:
    visit = storage.visit("a")
    path = storage.claim(_upload(storage), visit, "me.jpg")
    for folder in (storage.root, storage.uploads, visit.folder, path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_visitor_gets_his_own_files_and_nobody_elses(storage: Storage, tmp_path: Path) -> None:
    mine, theirs = storage.visit("a", "cookie of a"), storage.visit("b", "cookie of b")
    path = storage.claim(_upload(storage), mine, "me.jpg")
    token, _, place = storage.address(mine, path).partition("/")
    assert storage.find(token, place, "cookie of a") == path
    assert storage.find(token, place, "cookie of b") is None
    assert storage.find(token, place) is None
    assert storage.find(theirs.token, place, "cookie of b") is None
    with pytest.raises(InputError, match="belongs to somebody else"):
        storage.visit("a", "cookie of b")


@pytest.mark.parametrize("place", ["../lock", "/etc/passwd", "1/../../x", "", "1", "link"])
def test_no_address_leads_out_of_a_visit(storage: Storage, place: str) -> None:
    visit = storage.visit("a")
    storage.claim(_upload(storage), visit, "me.jpg")
    (storage.root / "visits" / "x").write_text("another's")
    (visit.folder / "link").symlink_to("/etc/passwd")
    assert storage.find(visit.token, place) is None


def test_only_what_was_uploaded_can_be_claimed(storage: Storage, tmp_path: Path) -> None:
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"secret")
    (storage.uploads / "link.jpg").symlink_to(outside)
    visit = storage.visit("a")
    for path in (outside, storage.uploads / ".." / "lock", storage.uploads / "link.jpg"):
        with pytest.raises(InputError, match="no uploaded file"):
            storage.claim(path, visit, "me.jpg")
    with pytest.raises(InputError, match="no longer here"):
        storage.claim(storage.uploads / "gone.jpg", visit, "gone.jpg")


def test_two_who_send_the_same_photo_each_keep_their_own(storage: Storage) -> None:
    upload = _upload(storage)
    paths = [storage.claim(upload, storage.visit(key), "me.jpg") for key in "ab"]
    storage.end("a")
    storage.clear_uploads(-1)
    assert not upload.exists() and not paths[0].exists()
    assert paths[1].read_bytes() == b"photo"


def test_nothing_is_left_of_a_visit_and_of_old_uploads(storage: Storage) -> None:
    visit = storage.visit("a")
    storage.claim(_upload(storage), visit, "me.jpg")
    visit.new_path("result.png").write_bytes(b"result")
    assert storage.unused(3600) == [] and storage.unused(-1) == ["a"]
    assert storage.end("a") and not storage.end("a")
    storage.clear_uploads(3600)
    assert [path.name for path in storage.files()] == ["me.jpg"]
    storage.clear_uploads(-1)
    assert storage.files() == [] and list(storage.uploads.iterdir()) == []


def test_the_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_storage(tmp_path) as storage:
        storage.claim(_upload(storage), storage.visit("a"), "me.jpg")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys, time
from decontext.app.storage import open_storage
with open_storage(sys.argv[1]) as storage:
    (storage.visit("a").new_path("me.jpg")).write_bytes(b"photo")
    print(storage.root, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_what_a_killed_program_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        root = Path(program.stdout.readline().strip())
        with open_storage(tmp_path) as other:  # It runs: its folder stays.
            assert root.is_dir() and other.root != root
        program.send_signal(signal.SIGKILL)
        program.wait(10)
    assert root.is_dir()
    with open_storage(tmp_path):
        assert not root.exists()


def test_folders_of_others_and_half_made_ones_stay(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}being-made").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    assert clear_leftovers(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("me.jpg", "me.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\\\photos\\\\IMG (1).jpg", "IMG (1).jpg"),
        ("Zoë im Grünen.jpeg", "Zoë im Grünen.jpeg"),
        ("..", "photo"),
        ("", "photo"),
        ("a\0b\n.png", "ab.png"),
        ("x" * 300 + ".jpg", "x" * 120 + ".jpg"),
    ],
)
def test_names_keep_what_they_say_and_lead_nowhere(given: str, kept: str) -> None:
    assert plain_name(given) == kept


def test_a_place_for_a_new_file_is_never_taken(storage: Storage) -> None:
    visit = storage.visit("a")
    paths = [visit.new_path("me.jpg") for _ in range(3)]
    assert len(set(paths)) == 3 and all(path.name == "me.jpg" for path in paths)
    assert not any(os.path.exists(path) for path in paths)
    assert visit.used <= time.monotonic()
