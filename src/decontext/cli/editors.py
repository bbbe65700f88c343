"""`decontext editors`."""

from __future__ import annotations

from decontext.cli.options import ShowOptions
from decontext.cli.terminal import Terminal
from decontext.editors import list_editors


def editors(show: ShowOptions) -> None:
    """List the editors that there are."""
    Terminal(as_json=show.as_json).show_editors(list_editors())
