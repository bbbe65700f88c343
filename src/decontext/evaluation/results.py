"""Results as JSON Lines: one row for each photo, protection and edit, written as it is known.

A run that was stopped continues where it was: what has a row is not done again. A last line that
was cut off is dropped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from decontext.editors import Editor
from decontext.errors import InputError
from decontext.photo.files import write_whole

Row = dict[str, Any]
NAME = "results.jsonl"
_KEY = ("kind", "photo", "protection", "transform", "prompt", "seed")


class ResultFile:
    """The rows of an evaluation, in a file that only grows.

    `heading` says what the rows depend on beside their own fields, such as the editor: a file that
    was begun under another one is not continued. What has a row in `known`, files of other
    processes, is not done again either.

    Raises:
        InputError: the file cannot be read or written, or has another heading.
    """

    def __init__(
        self,
        path: Path,
        heading: Mapping[str, Any],
        *,
        force: bool = False,
        known: Iterable[Path] = (),
    ) -> None:
        self._path = path
        if force:
            path.unlink(missing_ok=True)
        rows = read_rows([path]) if path.exists() else []
        self._rows = {key_of(row): row for row in rows}
        wanted: Row = {"kind": "heading", **heading}
        found = self._rows.get(key_of(wanted))
        if found is None and not rows:
            self._write_all([wanted])
            self._rows[key_of(wanted)] = wanted
        elif found != wanted:
            differs = [name for name in wanted if (found or {}).get(name) != wanted[name]]
            raise InputError(
                f"{path} was begun with another {', '.join(differs)}.",
                "Choose another folder, or begin again with --force.",
            )
        else:
            self._write_all(self._rows.values())
        for row in read_rows(other for other in known if other != path):
            self._rows.setdefault(key_of(row), row)

    @property
    def rows(self) -> list[Row]:
        """All rows in the order they were written."""
        return list(self._rows.values())

    def find(self, **fields: Any) -> Row | None:
        """The row of this kind, photo, protection, transform, prompt and seed, if there is one."""
        return self._rows.get(key_of(fields))

    def add(self, **fields: Any) -> Row:
        """Write a row at once and return it."""
        row: Row = json.loads(json.dumps(fields))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._rows[key_of(row)] = row
        return row

    def _write_all(self, rows: Iterable[Row]) -> None:
        lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
        write_whole("".join(lines).encode(), self._path)


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """The rows of several files; a cut last line is left out.

    Raises:
        InputError: a file cannot be read, or holds something else.
    """
    rows: list[Row] = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read ({error}).") from None
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


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells rows apart: kind, photo, protection, transform, instruction and seed."""
    return tuple(row.get(name) for name in _KEY)
