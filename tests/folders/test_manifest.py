"""The file by which a run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from decontext.errors import InputError
from decontext.folders.manifest import NAME, PROTECTED, Manifest, read_rows

HEADING = {"editor": "tiny", "weights": None, "settings": {"steps": 3, "seed": 0}}


def _row(name: str, digest: str = "aa", **fields: Any) -> dict[str, Any]:
    row = {"kind": "photo", "name": name, "original_sha256": digest, "protected_sha256": "bb"}
    return row | {"status": PROTECTED, **fields}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    manifest = Manifest(tmp_path / NAME, HEADING)
    manifest.add(_row("a.png"))
    manifest.add(_row("b.png", "cc", status="failed", protected_sha256=""))
    return tmp_path / NAME


def test_rows_are_found_again_by_name_and_content(path: Path) -> None:
    manifest = Manifest(path, HEADING)
    assert manifest.find("a.png", "aa") == _row("a.png")
    assert manifest.find("a.png", "other") is None
    assert manifest.is_finished("a.png") and not manifest.is_finished("b.png")
    assert manifest.is_result("bb") and not manifest.is_result("")


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_a_kill_cut_off_is_removed(path: Path, cut: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    manifest = Manifest(path, HEADING)
    assert [row["name"] for row in manifest.rows] == ["a.png"]
    manifest.add(_row("c.png", "dd"))
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == [
        "run",
        "photo",
        "photo",
    ]


def test_other_settings_are_refused_by_name(path: Path) -> None:
    other = {**HEADING, "settings": {"steps": 4, "seed": 0}}
    with pytest.raises(InputError, match="was begun with another steps"):
        Manifest(path, other)
    assert Manifest(path, other, force=True).rows == []
    assert Manifest(path, other).rows == []
    with pytest.raises(InputError, match="another steps"):
        Manifest(path, HEADING)


def test_looking_writes_nothing(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes() + b'{"kind": "pho'
    path.write_bytes(before)
    assert len(Manifest(path, HEADING, look_only=True).rows) == 2
    assert path.read_bytes() == before
    Manifest(tmp_path / "none" / NAME, HEADING, look_only=True)
    assert not (tmp_path / "none").exists()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text('{"a": 1}\n{"b": 2}\n')
    with pytest.raises(InputError, match=r"line 1 of .* is no row of a manifest"):
        read_rows([path])


def test_the_last_row_of_a_photo_counts(path: Path) -> None:
    Manifest(path, HEADING).add(_row("b.png", "cc", protected_sha256="ee"))
    assert [row["status"] for row in Manifest(path, HEADING).rows] == [PROTECTED, PROTECTED]


def test_a_name_in_no_proper_encoding_is_kept(path: Path) -> None:
    Manifest(path, HEADING).add(_row("\udcff.png", "ff"))
    assert Manifest(path, HEADING).find("\udcff.png", "ff") is not None
