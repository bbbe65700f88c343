"""How far a run over many photos is: all of them and each one in work, with the time left.

On a terminal these are bars; elsewhere, in a log, one line for each photo that is done.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from decontext.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from rich.progress import TaskID

    from decontext.folders.run import Progress

RECENT = 32
"""Photos by whose time the time left is told."""


class FolderProgress:
    """Draws what `protect_folder` tells; a context, as bars must be removed."""

    def __init__(self, terminal: Terminal, total: int) -> None:
        self._terminal = terminal
        self._bars = terminal.open_bars()
        self._all = self._bars.add_task("photos", total=total, note="")
        self._photos: dict[str, TaskID] = {}
        self._parts: dict[str, float] = {}
        self._ends = deque([time.monotonic()], maxlen=RECENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def draw(self, progress: Progress) -> None:
        """Take in what is told of one photo."""
        if progress.row is None:
            self._draw_part(progress)
        else:
            self._draw_row(progress)
        self._bars.update(
            self._all,
            completed=progress.done + sum(self._parts.values()),
            note=self._left(progress),
        )

    def _draw_part(self, progress: Progress) -> None:
        # Not before there is something to see: loading the editor has a bar of its own.
        self._bars.start()
        if progress.photo not in self._photos:
            self._photos[progress.photo] = self._bars.add_task("", total=1.0, note="")
        self._parts[progress.photo] = progress.part
        self._bars.update(
            self._photos[progress.photo],
            completed=progress.part,
            note=one_line(f"{progress.photo}: {progress.note}"),
        )

    def _draw_row(self, progress: Progress) -> None:
        self._parts.pop(progress.photo, None)
        bar = self._photos.pop(progress.photo, None)
        if bar is not None:
            self._bars.remove_task(bar)
        if progress.earlier:
            return
        self._ends.append(time.monotonic())
        if not self._terminal.is_interactive:
            said = one_line(f"{progress.done}/{progress.total} {progress.photo}: {progress.note}")
            self._terminal.note("; ".join(filter(None, (said, self._left(progress)))))

    def _left(self, progress: Progress) -> str:
        """The time left, by the photos that were done last."""
        from decontext.machine import describe_seconds

        if len(self._ends) < 2 or progress.done == progress.total:
            return ""
        each = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        left = progress.total - progress.done - sum(self._parts.values())
        return f"about {describe_seconds(max(left, 0) * each)} left"
