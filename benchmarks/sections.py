"""Parts of docs/performance.md: each script writes its own, between two markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path("docs/performance.md")


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`.

    A page that is not there yet gets that part alone.

    Raises:
        ValueError: the page has no such part.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = path.read_text(encoding="utf-8") if path.exists() else f"{first}\n{last}\n"
    before, opened, rest = page.partition(first)
    _, closed, after = rest.partition(last)
    if not opened or not closed:
        raise ValueError(f"{path} has no part {name}.")
    path.write_text(f"{before}{first}\n{text.strip()}\n{last}{after}", encoding="utf-8")


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
