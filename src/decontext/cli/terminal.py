"""What the command line shows: progress on stderr, results on stdout, errors in two sentences.

With `--json` nothing but one JSON object goes to stdout, for errors too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from decontext.cli.progress import Progress, drawing_bar, printing_lines

if TYPE_CHECKING:
    from pathlib import Path

    from decontext.demo import Demonstration
    from decontext.editors import EditorInfo
    from decontext.saving import Result
    from decontext.verdict import Verification

VERDICT_STYLES = {"strong": "green", "weak": "yellow", "none": "red"}


class Terminal:
    """Where a command writes to. `as_json` and `quiet` are the options of these names."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._out = Console(highlight=False, soft_wrap=True, quiet=quiet or as_json)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    def show_error(self, message: str, hint: str = "", *, code: int) -> None:
        """Message and hint on stderr; with --json as an object on stdout."""
        if self._as_json:
            self.show_json({"error": message, "hint": hint, "exit_code": code})
            return
        self._err.print("Error:", style="bold red", end=" ")
        self._err.print(message, markup=False)
        if hint:
            self._err.print(hint, markup=False)

    def warn(self, text: str) -> None:
        """A sentence that nobody should miss: on stderr, under --quiet and --json too."""
        self._err.print(text, style="yellow", markup=False)

    def note(self, text: str) -> None:
        """What is going on, on stderr; nothing under --quiet."""
        if not self._quiet:
            self._err.print(text, style="dim", markup=False)

    def say(self, text: str, *, style: str | None = None) -> None:
        """A line of the result; nothing under --quiet and --json."""
        self._out.print(text, style=style, markup=False)

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

    def show_editors(self, infos: Sequence[EditorInfo]) -> None:
        """What there is to choose from."""
        for info in infos:
            blocks = f"{info.double_blocks} double, {info.single_blocks} single"
            self.say(f"{info.name}: {info.title}", style="bold")
            if info.demonstration:
                self.say("  what is protected against it is protected against nothing else")
            self.say(f"  weights: {info.weights}; {info.memory}")
            self.say(f"  licence: {info.licence}")
            self.say(f"  works at {info.working_size}; blocks: {blocks}")
        self.show_json({"editors": [asdict(info) for info in infos]})

    def show_protection(self, result: Result) -> None:
        """What was saved, how strongly it differs, and what was measured on it."""
        report = result.report
        self.say(f"saved {result.path}, and a report beside it", style="bold")
        self.say(
            f"epsilon is {report['epsilon']}; the file differs by up to "
            f"{result.verification.levels} levels, PSNR {report['psnr_db']:.1f} dB"
        )
        self._show_verdict(result.verification)
        for note in report["notes"]:
            self.say(f"note: {note}")
        self.show_json(
            {"protected": result.verification.protected, "output": str(result.path), **report}
        )

    def show_verification(
        self, verification: Verification, published: Sequence[Verification] = ()
    ) -> None:
        """The verdict, what it rests on, and one after each transform."""
        self._show_verdict(verification)
        for found in published:
            from decontext.publishing.transforms import parse_transform

            self.say(
                f"{parse_transform(found.transform).describe()}: {found.level}; {found.reason}",
                style=VERDICT_STYLES[found.level],
            )
        values = verification.to_dict()
        if published:
            values["after"] = {found.transform: found.to_dict() for found in published}
        self.show_json(values)

    def _show_verdict(self, verification: Verification) -> None:
        """One sentence and what to do next, then what they rest on."""
        self.say(verification.sentence, style=VERDICT_STYLES[verification.level])
        self.say(verification.advice)
        values = verification.to_dict()
        table = _table("context proportion", "mean", "spread", "fell by")
        falls = {"protected": values["drop"], "random_noise": values["random_drop"]}
        for name, value in values["context_proportion"].items():
            # Adding zero turns a rounded -0.0 into 0.0.
            fall = f"{round(falls[name], 2) + 0.0:.0%}" if name in falls else ""
            table.add_row(
                name.replace("_", " "),
                f"{value['mean']:.3f}",
                f"{value['standard_deviation']:.3f}",
                fall,
            )
        self._out.print(table)
        self.say(
            f"{len(verification.measurements)} measurements with instructions and noises that were "
            "not optimised on"
        )

    def show_demonstration(self, demonstration: Demonstration) -> None:
        """Who the edits show, and where the page is."""
        if demonstration.measured:
            head, *rows = demonstration.table()
            table = _table(*head)
            for row in rows:
                table.add_row(*row)
            self._out.print(table)
        for line in demonstration.summary():
            self.say(line)
        self.say(f"page: {demonstration.page}", style="bold")
        self.show_json(demonstration.to_dict())

    def show_evaluation(self, rows: Sequence[Mapping[str, Any]], page: Path) -> None:
        """What there is to say of each photo, who edits show, and where the page is."""
        from decontext.evaluation.tables import Figures, photo_table, short_table, to_dict

        figures = Figures([dict(row) for row in rows])
        for name, _, status, notes in photo_table(figures)[1:]:
            if notes:
                self.say(f"{name}: {status}; {notes}")
        head, *body = short_table(figures)
        table = _table(*head)
        for row in body:
            table.add_row(*row)
        self._out.print(table)
        self.say(f"page: {page}", style="bold")
        self.show_json({"page": str(page), **to_dict(figures)})

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


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
