"""ZIP files that visitors send: what is taken, and what they cannot do."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from decontext.app.archives import pack, plain_path, unpack
from decontext.errors import InputError


def _zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def _unpack(archive: Path, folder: Path, *, most: int = 9, largest: int = 10_000) -> list[str]:
    folder.mkdir()
    return [one.name for one in unpack(archive, folder, most=most, largest=largest)]


def test_pictures_keep_their_folders_and_nothing_else_is_taken(tmp_path: Path) -> None:
    entries = {
        "trip/day 1/a.jpg": b"1",
        "trip\\b.PNG": b"2",
        "notes.txt": b"no",
        ".hidden.jpg": b"no",
        "__MACOSX/trip/._a.jpg": b"no",
        "../../out.jpg": b"no",
        "/c.webp": b"3",
    }
    archive = _zip(tmp_path / "photos.zip", entries)
    assert _unpack(archive, tmp_path / "in") == ["trip/day 1/a.jpg", "trip/b.PNG", "c.webp"]
    files = [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in files) == [b"1", b"2", b"3"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "photos.zip"]


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.jpg", b"1")
    assert _unpack(path, tmp_path / "in") == ["a.jpg"]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"notes.txt": b""}, "there is no picture in photos.zip"),
        ({f"{number}.jpg": b"" for number in range(10)}, "has 10 pictures; up to 9 go"),
        ({"bomb.jpg": bytes(11_000)}, "photos.zip is larger than 0 MB"),
    ],
)
def test_too_much_and_nothing_are_refused(
    tmp_path: Path, entries: dict[str, bytes], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        _unpack(_zip(tmp_path / "photos.zip", entries), tmp_path / "in")


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 broken", b"no archive"):
        path = tmp_path / "photos.zip"
        path.write_bytes(content)
        with pytest.raises(InputError, match="photos.zip cannot be unpacked"):
            unpack(path, tmp_path, most=9, largest=1000)
    whole = _zip(path, {"a.jpg": b"x" * 5000}, zipfile.ZIP_STORED).read_bytes()
    path.write_bytes(whole.replace(b"xxxx", b"yyyy", 1))
    with pytest.raises(InputError, match="cannot be unpacked"):
        _unpack(path, tmp_path / "in")


def test_results_are_packed_under_their_names(tmp_path: Path) -> None:
    photo = tmp_path / "1" / "a.png"
    photo.parent.mkdir()
    photo.write_bytes(b"photo")
    packed = pack([(photo, "trip/a.protected.png")], tmp_path / "protected.zip")
    with zipfile.ZipFile(packed) as archive:
        assert archive.read("trip/a.protected.png") == b"photo"


def test_paths_lead_nowhere() -> None:
    assert plain_path("../a/./..\\b/c.jpg") == "a/b/c.jpg"
    assert plain_path("/etc/passwd") == "etc/passwd"
