"""What a run over many photos has done, one JSON line a photo, so that it can go on after a kill.

The file only grows: a line is written at once and whole, a last line that a kill cut off is
removed when the next run begins. One run at a time writes into a folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from decontext.errors import InputError
from decontext.photo.files import explained

Row = dict[str, Any]

NAME = "manifest.jsonl"
FORMAT = "decontext-manifest-1"

PROTECTED = "protected"
WEAK = "weak"
NOT_PROTECTED = "not protected"
ALREADY = "already protected"
FAILED = "failed"
STATUSES = (FAILED, NOT_PROTECTED, WEAK, PROTECTED, ALREADY)
"""Of a photo, the worst first. "protected" is a strong verdict, "weak" one that was accepted. What
failed is tried again by the next run; what did not measure as protected is not, as the same
settings would give the same photo."""

SAVED = (PROTECTED, WEAK)
FINAL = (*SAVED, NOT_PROTECTED)


class Key(NamedTuple):
    """What tells photos apart: the result's name and the photo's content."""

    name: str
    digest: str


class Manifest:
    """The rows of a folder of results, in a file that only grows.

    `heading` says what the results depend on beside the photo: editor and settings. A folder that
    was begun with other ones is not continued, but with `force` its rows no longer count. With
    `look_only` nothing is written. `is_continued` says that the heading was there.

    Raises:
        InputError: the file cannot be read or written, or has another heading.
    """

    def __init__(
        self,
        path: Path,
        heading: Mapping[str, Any],
        *,
        force: bool = False,
        look_only: bool = False,
    ) -> None:
        self._path = path
        self._rows: dict[Key, Row] = {}
        wanted = json.loads(json.dumps({"kind": "run", "format": FORMAT, **heading}))
        found, rows = read_rows([path]) if path.exists() else (None, [])
        self.is_continued = found == wanted
        if found != wanted:
            if found is not None and not force:
                differs = _differences(found, wanted)
                raise InputError(
                    f"{path.parent} was begun with another {', '.join(differs)}.",
                    "Choose another folder, or overwrite what lies there with --force.",
                )
            rows = []
        if not look_only:
            with explained(path):
                _drop_cut_line(path)
            if found != wanted:
                self._append(wanted)
        self._rows = {key_of(row): row for row in rows}
        self._finished = {row["name"] for row in self.rows if row["status"] in FINAL}
        self._results = {row["protected_sha256"] for row in rows if row["status"] in SAVED}

    @property
    def rows(self) -> list[Row]:
        """The last row of each photo, in the order in which they first came."""
        return list(self._rows.values())

    def find(self, name: str, digest: str) -> Row | None:
        """The row of a photo's result, if there is one."""
        return self._rows.get(Key(name, digest))

    def is_finished(self, name: str) -> bool:
        """Whether a photo of this name, as it was then, needs no further work."""
        return name in self._finished

    def is_result(self, digest: str) -> bool:
        """Whether a file with this content is itself a result of this folder."""
        return digest in self._results

    @property
    def results(self) -> frozenset[str]:
        """SHA-256 of the results of this folder."""
        return frozenset(self._results)

    def add(self, row: Row) -> None:
        """Write a row at once. Raises: InputError: it cannot be written."""
        self._append(row)
        self._rows[key_of(row)] = row
        if row["status"] in FINAL:
            self._finished.add(row["name"])
        if row["status"] in SAVED:
            self._results.add(row["protected_sha256"])

    def _append(self, row: Mapping[str, Any]) -> None:
        # ASCII, so that a name in no proper encoding can be written too.
        line = (json.dumps(row, allow_nan=False) + "\n").encode("ascii")
        with explained(self._path), self._path.open("ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())


def read_rows(paths: Iterable[Path]) -> tuple[Row | None, list[Row]]:
    """The last heading of several files in turn, and the rows that belong to it.

    A cut last line is left out.

    Raises:
        InputError: a file cannot be read, or holds something else.
    """
    heading: Row | None = None
    rows: list[Row] = []
    for path in paths:
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}).") from None
        for number, line in enumerate(lines, 1):
            row = _parse(line)
            if row is None and number == len(lines):
                break
            if row is None:
                raise InputError(
                    f"line {number} of {path} is no row of a manifest of decontext.",
                    "Choose another folder, or move that file away.",
                )
            if row["kind"] == "photo":
                rows.append(row)
            elif row != heading:
                heading, rows = row, []
    return heading, rows


def key_of(row: Mapping[str, Any]) -> Key:
    """The key of a row."""
    return Key(row["name"], row["original_sha256"])


def _parse(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not line.endswith(b"\n"):
        return None
    if row.get("kind") == "run" and row.get("format") == FORMAT:
        return row
    needed = {"name", "original_sha256", "protected_sha256"}
    whole = row.get("kind") == "photo" and needed <= set(row) and row.get("status") in STATUSES
    return row if whole else None


def _drop_cut_line(path: Path) -> None:
    """Remove what a kill left of the last line, so that the next one begins a line of its own."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _differences(found: Row, wanted: Row) -> list[str]:
    """What two headings differ in, settings by their names."""
    flat = [{**row, **row.get("settings", {}), "settings": None} for row in (found, wanted)]
    return [name for name in flat[1] if flat[0].get(name) != flat[1][name]] or ["version"]
