"""`decontext cache`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from decontext.cli.options import ShowOptions
from decontext.cli.terminal import Terminal
from decontext.editors.weights.embeddings import EmbeddingCache


class Action(StrEnum):
    """What to do with the cache."""

    LIST = "list"
    CLEAR = "clear"


def cache(
    show: ShowOptions,
    action: Annotated[
        Action,
        typer.Argument(metavar="ACTION", help="What to do. Default: list.", show_default=False),
    ] = Action.LIST,
) -> None:
    """List or clear the encoded instructions that are kept for the next photo."""
    terminal = Terminal(show)
    kept = EmbeddingCache()
    entries = kept.entries()
    total = sum(entry.size for entry in entries)
    terminal.say(f"{kept.folder}: {len(entries)} encoded instructions, {total / 1e6:.1f} MB")
    if action is Action.CLEAR:
        kept.clear()
        terminal.say("cleared")
    else:
        for entry in entries:
            terminal.say(f"  {entry.text or 'unreadable'} ({entry.dtype}, {entry.encoder[:8]})")
    terminal.show_json(
        {
            "folder": str(kept.folder),
            "bytes": total,
            "cleared": action is Action.CLEAR,
            "entries": [
                {
                    "instruction": entry.text,
                    "encoder": entry.encoder,
                    "dtype": entry.dtype,
                    "bytes": entry.size,
                }
                for entry in entries
            ],
        }
    )
