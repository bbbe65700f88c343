"""`decontext demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from decontext.cli.options import (
    BudgetOptions,
    EditorOptions,
    SaveOptions,
    output_option,
)
from decontext.cli.prepare import open_editor, read_settings
from decontext.cli.terminal import Terminal

FOLDER = Path("decontext-demo")


def demo(
    *,
    output: Annotated[
        Path,
        output_option("Folder for the page and the pictures.", metavar="FOLDER", default=FOLDER),
    ] = FOLDER,
    budget: BudgetOptions,
    show: SaveOptions,
) -> None:
    """Protect two portraits against the embedded editor, edit all versions, and compare."""
    terminal = Terminal(show)
    from decontext.demo import run_demo

    settings = read_settings(budget)
    with terminal.progress("demonstration") as progress:
        chosen = open_editor(terminal, EditorOptions(editor="kontext-mini"), progress)
        demonstration = run_demo(
            output, chosen, settings=settings, force=show.force, on_progress=progress.show
        )
    if demonstration.measured:
        head, *rows = demonstration.table()
        terminal.show_table(head, rows)
    for line in demonstration.summary():
        terminal.say(line)
    terminal.say(f"page: {demonstration.page}", style="bold")
    terminal.show_json(demonstration.to_dict())
