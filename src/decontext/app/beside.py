"""The files of this folder that are no Python: templates, and scripts and styles for browsers."""

from __future__ import annotations

from importlib.resources import files


def read_beside(name: str) -> str:
    """The text of one of them."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
