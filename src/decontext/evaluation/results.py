"""Results as JSON Lines: one row for each photo, protection and edit, written as it is known.

A run that was stopped continues where it was: what has a row is not done again. A last line that
was cut off is dropped. A row belongs to a photo's content, `sha256`; its name is only shown. Rows
of older versions know a name alone: they are read and shown, but not continued, as nothing says
that the photo of that name is still the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from decontext.editors import Editor
from decontext.errors import InputError
from decontext.photo.files import write_whole
from decontext.report import sha256

Row = dict[str, Any]
NAME = "results.jsonl"
EVALUATED, DUPLICATE, UNREADABLE, FAILED = "evaluated", "duplicate", "unreadable", "failed"
"""What became of a photo."""

_KEY = ("protection", "transform", "prompt", "seed")


class ResultFile:
    """The rows of an evaluation, in a file that only grows.

    `heading` says what the rows depend on beside their own fields, such as the editor: a file that
    was begun under another one is not continued. `photos` names the photos of this run by their
    content: their rows get the name of today, those of another photo of such a name go, and so do
    failures, which are tried again. What has a row in `known`, files of other processes, is not
    done again either.

    Raises:
        InputError: the file cannot be read or written, or has another heading.
    """

    def __init__(
        self,
        path: Path,
        heading: Mapping[str, Any],
        *,
        photos: Mapping[str, str],
        force: bool = False,
        known: Iterable[Path] = (),
    ) -> None:
        self._path = path
        if force:
            path.unlink(missing_ok=True)
        rows = read_rows([path]) if path.exists() else []
        wanted: Row = {"kind": "heading", **heading}
        found = next((row for row in rows if row["kind"] == "heading"), None)
        if found is None and not rows:
            rows = [wanted]
        elif found != wanted:
            differs = [name for name in wanted if (found or {}).get(name) != wanted[name]]
            raise InputError(
                f"{path} was begun with another {', '.join(differs)}.",
                "Choose another folder, or begin again with --force.",
            )
        self._rows = {key_of(row): row for row in _of_today(merge_rows(rows), photos)}
        self._write_all(self._rows.values())
        others = read_rows(other for other in known if other != path)
        for row in _of_today(merge_rows(others), photos):
            self._rows.setdefault(key_of(row), row)

    @property
    def rows(self) -> list[Row]:
        """All rows in the order they were written."""
        return list(self._rows.values())

    def find(self, **fields: Any) -> Row | None:
        """The row of this kind, photo, protection, transform, prompt and seed, if there is one."""
        return self._rows.get(key_of(fields))

    def add(self, **fields: Any) -> Row:
        """Write a row at once and return it. Raises: InputError: it cannot be written."""
        row: Row = json.loads(json.dumps(fields))
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(row))
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be written ({error.strerror}).",
                "Started again, the run goes on where it was.",
            ) from error
        self._rows[key_of(row)] = row
        return row

    def _write_all(self, rows: Iterable[Row]) -> None:
        write_whole("".join(map(_line, rows)).encode(), self._path)


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """The rows of several files; a cut last line is left out.

    Raises:
        InputError: a file cannot be read, or holds something else.
    """
    rows: list[Row] = []
    for path in paths:
        try:
            # Of all that Python calls an end of a line only this one is one in JSON Lines.
            lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}).") from None
        for number, line in enumerate(lines):
            try:
                row = json.loads(line)
            except ValueError:
                if number == len(lines) - 1:
                    break
                row = None
            if not isinstance(row, dict) or "kind" not in row:
                raise InputError(
                    f"line {number + 1} of {path} is no result of an evaluation.",
                    "Choose another folder, or begin again with --force.",
                )
            rows.append(row)
    return rows


def merge_rows(rows: Iterable[Row]) -> list[Row]:
    """Every row once, as it was written last.

    Rows that know a photo by its name only give way where others of this name know its content.
    """
    found = {key_of(row): row for row in rows}
    known = {row["photo"] for row in found.values() if row.get("sha256")}
    return [row for row in found.values() if row.get("sha256") or row.get("photo") not in known]


def _of_today(rows: Iterable[Row], photos: Mapping[str, str]) -> Iterator[Row]:
    """What is left of rows for a run over these photos; see `ResultFile`."""
    names = set(photos.values())
    for row in rows:
        name = photos.get(row.get("sha256", ""))
        nothing = row.get("status", EVALUATED) != EVALUATED  # a photo that has no other rows
        if name is None and row.get("photo") not in names and not nothing:
            yield row
        elif name is not None and not nothing and row["kind"] != "failure":
            yield {**row, "photo": name}


def identify(photos: Sequence[Path]) -> dict[Path, str]:
    """The content of each photo as a SHA-256; a file that cannot be read has its name's."""
    return {
        path: sha256(path) or hashlib.sha256(printable(path.name).encode()).hexdigest()
        for path in photos
    }


def name_photos(photos: Sequence[Path]) -> dict[Path, str]:
    """What each photo is called: its file's name, with its folders where another one has it too."""
    absolute = {path: Path(os.path.abspath(path)) for path in photos}
    shared = os.path.commonpath([path.parent for path in absolute.values()]) if photos else ""
    taken = Counter(path.name for path in absolute.values())
    return {
        path: printable(
            whole.name if taken[whole.name] == 1 else whole.relative_to(shared).as_posix()
        )
        for path, whole in absolute.items()
    }


def printable(text: str) -> str:
    """A text that can be written anywhere: names of files may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def fingerprint(editor: Editor) -> str:
    """Eight characters that change with the editor's weights: from one pass on one picture."""
    ramp = torch.linspace(0, 1, 96)
    picture = torch.stack([ramp.expand(96, 96), ramp.expand(96, 96).T, ramp.flip(0).expand(96, 96)])
    noise = editor.draw_noise(editor.working_size(96, 96), torch.Generator().manual_seed(0))
    with torch.no_grad():
        prompt = editor.encode_prompt("a photo of this person", picture[None])
        found = editor.attend(picture[None], prompt, 1.0, noise, [0])
    # Rounded, so that another machine with other kernels gets the same.
    said = f"{editor.info.name} {editor.info.weights} {float(found):.4f}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def content_of(row: Mapping[str, Any]) -> str | None:
    """Which photo a row is of: by content; rows of older versions by name."""
    return row.get("sha256") or row.get("photo")


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells rows apart: kind, photo, protection, transform, instruction and seed."""
    # Copies of one file share all rows but the one that names them.
    name = row.get("photo") if row.get("kind") == "photo" else None
    return (row.get("kind"), content_of(row), name, *(row.get(field) for field in _KEY))


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
