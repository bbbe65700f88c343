"""A manifest in a store: new rows as parts, the whole at the end, and all of it read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from decontext.cluster.records import SECONDS_BETWEEN_PARTS, Records
from decontext.cluster.stores import Place, read, walk
from decontext.folders.manifest import NAME


def test_rows_outlast_a_run_that_is_killed(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, now = Place.of(f"{store}/{tmp_path.name}"), [0.0]
    for number, line in enumerate((b"one\n", b"two\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        records = Records(place, folder, clock=lambda: now[0])
        with records.path.open("ab") as file:
            file.write(line + b"cut")
        records.push()
        assert len(list(walk(place, recursive=True))) == number
        now[0] += SECONDS_BETWEEN_PARTS
        records.push()
        records.push()  # nothing is new, and it is not time
        assert len(list(walk(place, recursive=True))) == number + 1
    last = tmp_path / "last"
    last.mkdir()
    records = Records(place, last)
    assert records.path.read_bytes() == b"one\ntwo\n"
    records.finish()
    assert list(walk(place, recursive=True)) == [NAME]
    assert read(place.file(NAME)) == b"one\ntwo\n"
