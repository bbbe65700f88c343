"""`decontext demo`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from decontext.cli._options import (
    DebugOption,
    EpsilonOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SeedOption,
    StepsOption,
    open_editor,
    parse_overrides,
)
from decontext.cli.terminal import Terminal


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page and the pictures.")
    ],
    epsilon: EpsilonOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Protect two portraits against the embedded editor, edit all versions, and compare."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    overrides = parse_overrides(epsilon=epsilon, steps=steps, seed=seed)
    from decontext.demo import SETTINGS, run_demo

    settings = replace(SETTINGS, **overrides)
    chosen = open_editor(terminal, "kontext-mini", None, None, None)
    with terminal.progress("demonstration") as draw:
        demonstration = run_demo(output, chosen, settings=settings, force=force, on_progress=draw)
    terminal.show_demonstration(demonstration)
