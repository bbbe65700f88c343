"""Every command that the README and the pages tell people to type is one that is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from decontext.cli.commands import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FORM = re.compile(r"\[|\.\.|\b[A-Z]{2,}\b.*\|")
"""Lines that show the form of a command, `PHOTO.. | -` and `[options]`, are nobody's to type."""


def _typed(page: Path) -> Iterator[str]:
    """Commands of a page's code blocks; a line that ends with a backslash goes on."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = re.findall(r"^```(?:console|sh|bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    for line in [line for block in fenced for line in block.splitlines()] + indented:
        found = re.search(r"(?:^|\$ |-- |\| )(decontext .*)$", line)
        if found and not FORM.search(found[1].split(" #")[0]):
            yield found[1].split(" #")[0]


LINES = [(page.name, line) for page in PAGES for line in _typed(page)]


def test_pages_have_commands() -> None:
    assert len(LINES) > 25
    assert {"README.md", "index.md", "many.md", "cluster.md"} <= {page for page, _ in LINES}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_command_is_understood(page: str, line: str) -> None:
    words = re.split(r"\s(?:[|>&]|2>)", line)[0]
    _, name, *rest = shlex.split(words)
    group: Any = typer.main.get_command(app)
    command, given = (
        (group, [name, *rest]) if name.startswith("--") else (group.commands[name], rest)
    )
    # Options that do not exist, or lack their value, are an error; files need not be there.
    command.make_parser(typer.Context(command)).parse_args(given)
