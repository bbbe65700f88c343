"""Where figures stand in the pages: every table, and every figure in a sentence.

A test asks of each where it comes from, so that none is typed without a file of results behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARKER = re.compile(r"<!-- (/?)([^>]+?) -->")
_NAMES = re.compile(
    r"`[^`]*`|\]\([^)]*\)|<[^>]*>"  # code, targets of links, tags
    r"|arXiv\s\d+\.\d+|\b\d{4}\.\d{5}\b|\bv?\d+\.\d+\.\d[\d.]*"  # papers, long versions
    r"|\b(?:FLUX|Apache|Python|diffusers|transformers|torch|Pillow|Qwen|Qwen-Image|Edit|klein)"
    r"[- ]?v?\d+(?:\.\d+)?|\bQwen2\.5|\bv\d\.\d"  # versions of named things
)
_FIGURE = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)? ?(?:%|MB\b|GB\b|TFLOP|s\b)|(?<![\w.])\d*\.\d+")


@dataclass(frozen=True)
class Table:
    """A table of a page: the markers and headings that it stands under, head and rows.

    `heading` is the nearest heading, `over` the nearest of the second level.
    """

    part: str
    heading: str
    over: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def has_figures(self) -> bool:
        """Whether a digit stands anywhere in it."""
        return any(re.search(r"\d", cell) for row in self.rows for cell in row)


def tables(text: str) -> Iterator[Table]:
    """Every table of a page in Markdown."""
    part = heading = over = ""
    rows: list[tuple[str, ...]] = []
    for line, inside in _lines(text):
        if line.startswith("|") and not inside:
            if line.strip("|- :"):
                rows.append(tuple(cell.strip() for cell in line.strip().strip("|").split("|")))
            continue
        if rows:
            yield Table(part, heading, over, rows[0], tuple(rows[1:]))
            rows = []
        part = _part_after(line, part)
        if line.startswith("#") and not inside:
            heading = line.lstrip("# ")
            over = heading if line.startswith("## ") else over


def prose(text: str) -> str:
    """The sentences of a page in one line: no code, no tables, and nothing that a script wrote.

    Names with digits, versions and targets of links are blank in it.
    """
    part, kept = "", []
    for line, inside in _lines(text):
        written, part = bool(part), _part_after(line, part)
        if not (written or part or inside or line.startswith(("    ", "|", "!["))):
            kept.append(" ".join(_MARKER.sub(" ", line).split()))
    return _NAMES.sub(lambda found: " " * len(found[0]), " ".join(kept))


def figures(line: str) -> Iterator[tuple[int, int, str]]:
    """The figures in sentences, with begin and end: parts, decimals, bytes, seconds."""
    for found in _FIGURE.finditer(line):
        yield found.start(), found.end(), found[0].strip()


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it lies in a block of code; an empty one ends the text."""
    inside = False
    for line in [*text.splitlines(), ""]:
        fence = line.lstrip().startswith("```")
        yield line, inside or fence
        inside = inside != fence


def _part_after(line: str, part: str) -> str:
    """The part that is open behind a line: between the markers that `benchmarks.sections` sets."""
    for closing, name in _MARKER.findall(line):
        part = "" if closing else name
    return part
