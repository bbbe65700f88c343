"""Parts of pages in docs/ that scripts write, each between two markers, and what they measured.

What a script measured is written twice: into the page, and into docs/measured.json with the day and
the command. A test compares the two, so that no figure of a page is typed.
"""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = Path("docs/performance.md")
RECORD = Path("docs/measured.json")


def put(path: Path, name: str, text: str, *, measured: bool = True) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`.

    A page that is not there yet gets that part alone. What goes into a page of this project is
    also kept in docs/measured.json, unless it was not `measured`: counted, or written from a file
    of results of its own.

    Raises:
        ValueError: the page has no such part.
    """
    before, _, after = split(path, name)
    text = text.strip()
    path.write_text(f"{before}{mark(name)}\n{text}\n{mark('/' + name)}{after}", encoding="utf-8")
    inside = path.resolve().is_relative_to(ROOT)
    if measured and inside and path.resolve().parent in (ROOT, ROOT / "docs"):
        keep(f"{path.name}: {name}", text)


def part(path: Path, name: str) -> str:
    """What stands between the markers. Raises: ValueError: the page has no such part."""
    return split(path, name)[1].strip()


def split(path: Path, name: str) -> tuple[str, str, str]:
    """What stands before a part of a page, in it, and behind it, without its markers."""
    first, last = mark(name), mark("/" + name)
    page = path.read_text(encoding="utf-8") if path.exists() else f"{first}\n{last}\n"
    before, opened, rest = page.partition(first)
    inside, closed, after = rest.partition(last)
    if not opened or not closed:
        raise ValueError(f"{path} has no part {name}.")
    return before, inside, after


def mark(name: str) -> str:
    """The marker of a part of a page."""
    return f"<!-- {name} -->"


def keep(name: str, text: str) -> None:
    """Write down what was measured, when, and by which command."""
    path = ROOT / RECORD
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    record[name] = {
        "on": datetime.date.today().isoformat(),
        "by": " ".join(["python", *_script(), *map(shlex.quote, sys.argv[1:])]),
        **read(text),
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _script() -> list[str]:
    """The script that runs, as `python` takes it: a module, or a file of this project."""
    specification = getattr(sys.modules["__main__"], "__spec__", None)
    if specification:
        return ["-m", specification.name]
    file = Path(sys.argv[0]).resolve()
    return [str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name]


def read(text: str) -> dict[str, Any]:
    """The tables of a text, each as its rows of cells, and its other lines."""
    tables: list[list[list[str]]] = []
    lines: list[str] = []
    inside = False
    for line in text.strip().splitlines():
        if line.startswith("|"):
            if not inside:
                tables.append([])
            if line.strip("|- :"):
                tables[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif line:
            lines.append(line)
        inside = line.startswith("|")
    return {"tables": tables, "lines": lines}


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
