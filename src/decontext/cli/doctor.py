"""`decontext doctor`."""

from __future__ import annotations

from decontext.cli._options import DebugOption, JsonOption
from decontext.cli.terminal import Terminal


def doctor(as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Say what works on this machine: devices, memory, plans for the editors, what is missing."""
    terminal = Terminal(as_json=as_json)
    from decontext.doctor import examine

    diagnosis = examine()
    for line in diagnosis.lines():
        terminal.say(line)
    terminal.show_json(diagnosis.to_dict())
