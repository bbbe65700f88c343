"""`decontext editors`."""

from __future__ import annotations

from decontext.cli._options import (
    JsonOption,
)
from decontext.cli.terminal import Terminal
from decontext.editors import list_editors


def editors(as_json: JsonOption = False) -> None:
    """List the editors that there are."""
    Terminal(as_json=as_json).show_editors(list_editors())
