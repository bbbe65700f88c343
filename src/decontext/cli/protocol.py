"""`decontext evaluate --protocol`: published ways of evaluating, and their figures beside ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext.cli.many import ENGINES
from decontext.cli.options import MACHINE, METHOD, AddressOption, EditorOptions, option
from decontext.cli.prepare import open_editor, refuse_same
from decontext.cli.progress import Progress
from decontext.cli.terminal import Terminal
from decontext.errors import InputError

if TYPE_CHECKING:
    from decontext.evaluation.protocols.plans import Part
    from decontext.evaluation.protocols.run import Task
    from decontext.evaluation.results import Row

PROTOCOLS = ("decontext", "veto")


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """A published protocol in place of own methods, budgets and instructions."""

    protocol: Annotated[
        str | None,
        option(
            "--protocol",
            "Evaluate as published: decontext or veto, in place of --methods and the like.",
            panel=METHOD,
            metavar="NAME",
            choices=PROTOCOLS,
            default="none",
        ),
    ] = None
    parts_of_it: Annotated[
        str | None,
        option(
            "--protocol-parts",
            "Questions of the protocol, with commas.",
            panel=METHOD,
            metavar="NAMES",
            default="all",
        ),
    ] = None
    shard: Annotated[
        str | None,
        option(
            "--shard",
            "Which share of the people, as 3/16; with --protocol.",
            panel=METHOD,
            metavar="K/N",
            default="1/1",
        ),
    ] = None
    photos_each: Annotated[
        int | None,
        option(
            "--photos-each",
            "Photos of each person; with --protocol.",
            panel=METHOD,
            metavar="N",
            default="all",
            between=(1, 100_000),
        ),
    ] = None

    engine: Annotated[
        str | None,
        option(
            "--engine",
            "Spread the people by this: ray; with --protocol.",
            panel=MACHINE,
            metavar="NAME",
            choices=ENGINES,
            default="this process",
        ),
    ] = None
    address: AddressOption = None
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            "Workers side by side, each with an editor; with --engine ray.",
            panel=MACHINE,
            metavar="N",
            default="1, or one a GPU",
            between=(1, 100_000),
        ),
    ] = None
    threads: Annotated[
        int | None,
        option(
            "--threads",
            "Of each worker; with --engine ray.",
            panel=MACHINE,
            metavar="N",
            default=1,
            between=(1, 1024),
        ),
    ] = None

    def check(self) -> None:
        """What belongs together comes together. Raises: InputError."""
        if self.engine not in (None, *ENGINES):
            raise InputError(
                f"--engine is {self.engine!r}; it must be one of {', '.join(ENGINES)}."
            )
        if self.engine is None and (self.address or self.jobs or self.threads):
            raise InputError(
                "--address, --jobs and --threads are of a cluster.", "Add --engine ray."
            )
        if self.engine is not None and not self.protocol:
            raise InputError("--engine ray spreads a protocol.", "Add --protocol decontext.")

    def task(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        rendered: bool,
        edit_steps: int | None,
    ) -> Task:
        """What is to be done. Raises: InputError: the shard is none."""
        from decontext.evaluation.protocols.run import Task

        parts = tuple(part.strip() for part in (self.parts_of_it or "").split(",") if part.strip())
        return Task(
            protocol=str(self.protocol),
            folder=folder,
            parts=parts,
            shard=_read_shard(self.shard or "1/1"),
            photos_each=self.photos_each,
            rendered=rendered,
            edit_steps=edit_steps,
            settings=settings,
        )


def evaluate_protocol(
    terminal: Terminal,
    task: Task,
    output: Path,
    model: EditorOptions,
    published: ProtocolOptions,
    *,
    force: bool,
) -> None:
    """Run a share of a protocol, or all of it on a cluster, and show and write its tables.

    Raises:
        Exit: with 1 where a photo failed.
    """
    from decontext.evaluation.figures import Figures
    from decontext.evaluation.protocols.clip import judge_edits, load_text_judge
    from decontext.evaluation.protocols.page import lead, part_table, write_protocol_page
    from decontext.evaluation.protocols.run import find_originals, run_protocol
    from decontext.evaluation.spreadsheet import write_spreadsheets

    refuse_same([str(task.folder)], output)
    with terminal.progress("evaluating") as progress:
        if published.engine:
            parts, rows = _spread(task, output, model, published, progress, force=force)
        else:
            editor = open_editor(terminal, model, progress)
            parts, rows = run_protocol(task, output, editor, force=force, on_progress=progress.show)
    judge = load_text_judge()
    clip = judge_edits(rows, output, judge, photos=find_originals(task)) if judge else None
    figures = Figures(rows)
    page = write_protocol_page(parts, rows, output, clip=clip)
    spreadsheets = write_spreadsheets(rows, output)
    for sentence in (*lead(figures, clip=clip), *figures.failed()):
        terminal.say(sentence)
    tables = {part.name: part_table(part, figures, clip=clip) for part in parts}
    for part in parts:
        terminal.say(part.title, style="bold")
        head, *body = tables[part.name]
        terminal.show_table(head, body)
    terminal.say(f"page: {page}", style="bold")
    terminal.say(figures.statement)
    terminal.show_json(
        {
            "page": str(page),
            "spreadsheets": list(map(str, spreadsheets)),
            "statement": figures.statement,
            "failed": list(figures.failed()),
            "parts": {name: [list(row) for row in table] for name, table in tables.items()},
        }
    )
    if figures.failed():
        raise typer.Exit(1)


def _spread(
    task: Task,
    output: Path,
    model: EditorOptions,
    published: ProtocolOptions,
    progress: Progress,
    *,
    force: bool,
) -> tuple[tuple[Part, ...], list[Row]]:
    """On a Ray cluster."""
    from decontext.cli.many import choose_one
    from decontext.cluster.run import Cluster
    from decontext.evaluation.protocols.spread import run_on_ray

    # Ray prints what happens to workers, on stdout, where results go.
    with redirect_stdout(sys.stderr):
        return run_on_ray(
            replace(task, folder=task.folder.resolve()),
            output,
            choose_one(model),
            cluster=Cluster(address=published.address, workers=published.jobs),
            threads=published.threads or 1,
            force=force,
            on_progress=progress.show,
        )


def _read_shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(
            f"--shard is {text!r}; it must be which share of how many.", "Try --shard 3/16."
        )
    return int(found[1]), int(found[2])
