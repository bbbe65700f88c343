"""What the command line shows: progress on stderr, results on stdout, errors in two sentences.

With `--json` nothing but one JSON object goes to stdout, for errors too.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from decontext.cli.options import ShowOptions
from decontext.cli.progress import Progress, drawing_bar, printing_lines

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Terminal:
    """Where a command writes to, by its options `--json` and `--quiet`."""

    def __init__(self, show: ShowOptions | None = None) -> None:
        show = show or ShowOptions()
        self._as_json = show.as_json
        self._quiet = getattr(show, "quiet", False)
        self._out = Console(highlight=False, soft_wrap=True, quiet=self._quiet or self._as_json)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    def show_error(self, message: str, hint: str = "", *, code: int) -> None:
        """Message and hint on stderr; with --json as an object on stdout."""
        if self._as_json:
            self.show_json({"error": message, "hint": hint, "exit_code": code})
            return
        label = "Error: "
        self._err.print(label, style="bold red", end="")
        first, *others = _wrapped(self._err, label + _visible(message))
        self._err.print("\n".join([first.removeprefix(label), *others]), markup=False)
        if hint:
            self._print(self._err, hint)

    def warn(self, text: str) -> None:
        """A sentence that nobody should miss: on stderr, under --quiet and --json too."""
        self._print(self._err, text, style="yellow")

    def note(self, text: str) -> None:
        """What is going on, on stderr; nothing under --quiet."""
        if not self._quiet:
            self._print(self._err, text, style="dim")

    def say(self, text: str, *, style: str | None = None) -> None:
        """A line of the result; nothing under --quiet and --json."""
        self._print(self._out, text, style=style)

    def show_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns of a result; nothing under --quiet and --json."""
        table = Table(*head, box=None, padding=(0, 2, 0, 0))
        for column in table.columns:
            column.overflow = "fold"
        for row in rows:
            table.add_row(*row)
        self._out.print(table)

    def show_json(self, values: Mapping[str, Any]) -> None:
        """The one JSON object of a command; nothing without --json."""
        if self._as_json:
            # NaN is no JSON. Written at once, so that a reader never sees half of it.
            text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
            try:
                text.encode(sys.stdout.encoding or "utf-8")
            except UnicodeEncodeError:
                text = json.dumps(values, indent=2, allow_nan=False)
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """How far the command is, on stderr: a bar, or lines where it is no terminal.

        Nothing under --quiet.
        """
        progress = Progress(title)
        if self._quiet:
            yield progress
            return
        with (
            drawing_bar(progress, self._err)
            if self._err.is_terminal
            else printing_lines(progress, self.note)
        ):
            yield progress

    @property
    def is_interactive(self) -> bool:
        """Whether somebody sees bars there."""
        return self._err.is_terminal

    def open_bars(self) -> Bars:
        """Bars on stderr, not started; their tasks have a field `note`."""
        # Imported here: it takes a while, and --help needs no bar.
        from rich import progress

        return progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[note]}", markup=False),
            console=self._err,
            transient=True,
            disable=self._quiet or not self._err.is_terminal,
        )

    def _print(self, console: Console, text: str, *, style: str | None = None) -> None:
        console.print("\n".join(_wrapped(console, _visible(text))), style=style, markup=False)


def one_line(text: str) -> str:
    """A text in which names of files may stand, without what would break or steer the terminal."""
    return "".join(map(_escape, text))


def _visible(text: str) -> str:
    return "".join(letter if letter in "\n\t" else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def _wrapped(console: Console, text: str) -> list[str]:
    """Lines as wide as the terminal, wrapped between words; elsewhere they stay as they are.

    What continues a line is indented under it. Words stay whole, so that paths can be copied.
    """
    if not console.is_terminal:
        return [text]
    wrapped = []
    for line in text.splitlines() or [""]:
        indent = line[: len(line) - len(line.lstrip())]
        wrapped += textwrap.wrap(
            line,
            width=console.width,
            subsequent_indent=indent + "  " if indent else "",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return wrapped
