"""`decontext doctor`."""

from __future__ import annotations

from decontext.cli.options import ShowOptions
from decontext.cli.terminal import Terminal


def doctor(show: ShowOptions) -> None:
    """Say what works on this machine: devices, memory, plans for the editors, what is missing."""
    terminal = Terminal(show)
    from decontext.doctor import examine

    diagnosis = examine()
    for line in diagnosis.lines():
        terminal.say(line)
    terminal.show_json(diagnosis.to_dict())
