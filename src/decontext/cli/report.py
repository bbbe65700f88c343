"""`decontext report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli.options import BASICS, ShowOptions, option
from decontext.cli.terminal import Terminal


def report(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Folder of an evaluation.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another one.")],
    show: ShowOptions,
    recogniser: Annotated[
        str | None,
        option(
            "--recogniser",
            "Whose figures to compare.",
            panel=BASICS,
            metavar="NAME",
            default="the first that both have",
        ),
    ] = None,
) -> None:
    """Compare two evaluations of the same photos, pair by pair of their edits."""
    terminal = Terminal(show)
    from decontext.evaluation.compare import (
        compare,
        comparison_table,
        read_evaluation,
        tell_differences,
        to_dict,
        warn_of_differences,
    )
    from decontext.evaluation.sentences import warn_of_few

    runs = read_evaluation(first), read_evaluation(second)
    differences = compare(*runs, recogniser=recogniser)
    warnings = [*warn_of_differences(*runs), *filter(None, [warn_of_few(runs[0])])]
    found = tell_differences(differences)
    for sentence in found:
        terminal.say(sentence, style="bold")
    for sentence in warnings:
        terminal.say(sentence)
    head, *body = comparison_table(differences)
    terminal.show_table(head, body)
    terminal.say(runs[1].statement)
    terminal.show_json({"found": found, "warnings": warnings, "differences": to_dict(differences)})
