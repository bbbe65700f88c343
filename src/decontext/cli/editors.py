"""`decontext editors`."""

from __future__ import annotations

from dataclasses import asdict

from decontext.cli.options import ShowOptions
from decontext.cli.terminal import Terminal
from decontext.editors import list_editors


def editors(show: ShowOptions) -> None:
    """List the editors that there are."""
    terminal, infos = Terminal(show), list_editors()
    for info in infos:
        blocks = f"{info.double_blocks} double, {info.single_blocks} single"
        terminal.say(f"{info.name}: {info.title}", style="bold")
        if info.demonstration:
            terminal.say("  what is protected against it is protected against nothing else")
        terminal.say(f"  weights: {info.weights}; {info.memory}")
        terminal.say(f"  licence: {info.licence}")
        terminal.say(f"  works at {info.working_size}; blocks: {blocks}")
    terminal.show_json({"editors": [asdict(info) for info in infos]})
