"""How far a command is: one total from loading to measuring, as a bar or as lines for a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

SECONDS_BETWEEN_LINES = 30.0
BAR_WIDTH = 12

PREPARING = 0.05
"""Part of the total that loading and estimating get, whose time nobody knows before."""


class Progress:
    """How far a command is, what it does, and how long the rest will take.

    `prepare` names what comes before the work, `show` is called as the work goes on. The time left
    is counted from the pace since the first call of `show`; what came before says nothing about it.
    """

    def __init__(self, title: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.note = ""
        self._clock = clock
        self._began = clock()
        self._first: tuple[float, float] | None = None
        self._start = 0.0
        self._part = 0.0

    @property
    def part(self) -> float:
        """Of the total, [0, 1]."""
        return self._start + (1 - self._start) * self._part

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take; None where that is not known yet."""
        if self._first is None or self._part <= self._first[1]:
            return None
        began, part = self._first
        return (self._clock() - began) * (1 - self._part) / (self._part - part)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def prepare(self, note: str) -> None:
        """Something is done before the work, which takes as long as it takes."""
        self.note = note
        self._start = PREPARING

    def show(self, done: float, total: float, note: str) -> None:
        """Steps done, steps in all, and what there is to say about them."""
        self.note = note
        self._part = min(done / total, 1.0) if total else 0.0
        if self._first is None or not done:
            self._first = self._clock(), self._part

    def line(self) -> str:
        """For a log, such as "protecting: step 40 of 100, about 2 min left"."""
        said = f"{self.title}: {self.note}" if self.note else self.title
        return f"{said}, {self.time()}" if self.time() else said

    def time(self) -> str:
        """In words: what is left, or where that is not known how long it has been."""
        # Imports torch, which whoever asks for times has imported already.
        from decontext.machine import describe_seconds

        if self.left is not None:
            return f"about {describe_seconds(self.left)} left"
        return f"{describe_seconds(self.seconds)} so far" if self.seconds >= 1 else ""


@contextmanager
def printing_lines(
    progress: Progress,
    say: Callable[[str], None],
    *,
    every: float = SECONDS_BETWEEN_LINES,
) -> Iterator[None]:
    """A line at the start, one every 30 seconds even where nothing moves, and one at the end."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(every):
            say(progress.line())

    say(f"{progress.title}: begins")
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    from decontext.machine import describe_seconds

    say(f"{progress.title}: done after {describe_seconds(progress.seconds)}")


@contextmanager
def drawing_bar(progress: Progress, console: Console) -> Iterator[None]:
    """A bar with the time left, drawn again four times a second; it is gone when the work is."""
    # Imported here: it takes a while, and --help needs no bar.
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    def draw() -> Table:
        bar = ProgressBar(
            total=1.0, completed=progress.part, width=BAR_WIDTH, pulse=progress.left is None
        )
        table = Table.grid(padding=(0, 1))
        # Where the terminal is narrow, what is said at the end gives way first.
        note = Text(progress.note, overflow="ellipsis", no_wrap=True)
        table.add_row(progress.title, bar, f"{progress.part:.0%}", progress.time(), note)
        for column in table.columns[:-1]:
            column.no_wrap = True
        return table

    with Live(get_renderable=draw, console=console, transient=True):
        yield
