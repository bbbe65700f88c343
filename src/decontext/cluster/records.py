"""The manifest of a run whose results lie in a store, where no file can grow.

It is kept in a folder here. What is new in it goes to the store every half minute as a part of its
own; at the end the whole takes the place of the parts. The next run, on whatever machine, reads
whole and parts.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from decontext.cluster.stores import Place, delete, read, walk, write
from decontext.folders.manifest import NAME

SECONDS_BETWEEN_PARTS = 30.0
PART = "manifest-part-{time:013d}-{run}-{number:06d}.jsonl"


class Records:
    """The manifest's file here, and its likeness in the store."""

    def __init__(
        self, place: Place, folder: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._place, self._clock = place, clock
        self._run, self._number = f"{int(time.time() * 1000):013d}-{secrets.token_hex(4)}", 0
        self.path = folder / NAME
        self._parts = [name for name in walk(place, recursive=False) if _is_part(name)]
        pieces = [read(place.file(name)) or b"" for name in (NAME, *self._parts)]
        # A part ends with a line; only a foreign file might not.
        self.path.write_bytes(b"".join(_whole_lines(piece) for piece in pieces))
        self._kept = self.path.stat().st_size
        self._last = clock()

    def push(self) -> None:
        """Carry what is new to the store, once it is time. Raises: InputError."""
        if self._clock() - self._last < SECONDS_BETWEEN_PARTS:
            return
        self._last = self._clock()
        new = _whole_lines(self._read_new())
        if new:
            moment, _, run = self._run.partition("-")
            name = PART.format(time=int(moment), run=run, number=self._number)
            write(self._place.file(name), new)
            self._parts.append(name)
            self._number += 1
            self._kept += len(new)

    def finish(self) -> None:
        """Put the whole in the place of its parts. Raises: InputError."""
        write(self._place.file(NAME), self.path.read_bytes())
        for name in self._parts:
            delete(self._place.file(name))
        self._parts.clear()

    def _read_new(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._kept)
            return file.read()


def _is_part(name: str) -> bool:
    return name.startswith("manifest-part-") and name.endswith(".jsonl")


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
