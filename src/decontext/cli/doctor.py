"""`decontext doctor`."""

from __future__ import annotations

from typing import Annotated

from decontext.cli.options import BASICS, ShowOptions, option
from decontext.cli.terminal import Terminal
from decontext.editors import editor_names


def doctor(
    show: ShowOptions,
    trace: Annotated[
        str | None,
        option(
            "--trace",
            "Follow one step of an editor in its published size, without its weights.",
            panel=BASICS,
            metavar="EDITOR",
            default="none",
            choices=editor_names(),
        ),
    ] = None,
) -> None:
    """Say what works on this machine: devices, memory, plans for the editors, what is missing.

    With --trace: what a step of an editor takes, counted operation by operation without weights
    and without a GPU, beside what the plan says.
    """
    terminal = Terminal(show)
    if trace is not None:
        trace_one(terminal, trace)
        return
    from decontext.doctor import examine

    diagnosis = examine()
    for line in diagnosis.lines():
        terminal.say(line)
    terminal.show_json(diagnosis.to_dict())


def trace_one(terminal: Terminal, name: str) -> None:
    """One step with the weights held in several ways."""
    with terminal.progress("tracing") as progress:
        progress.prepare(f"building {name}")
        from decontext.trace import trace_ways

        traces = trace_ways(name, on_way=progress.show)
    for trace in traces:
        terminal.say(trace.describe())
    terminal.say("counted without weights and without a GPU; kernels' own memory is not in it.")
    terminal.show_json({"traces": [trace.to_dict() for trace in traces]})
