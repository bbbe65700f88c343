"""The page on the files of an evaluation: every column and field, from `evaluation.schema`."""

from __future__ import annotations

from collections.abc import Sequence

from decontext.evaluation.schema import EDITS, ROWS, SUMMARY, Column

TYPES = {"text": "text", "whole": "whole number", "number": "number"}


def page() -> str:
    """The page in Markdown."""
    return "\n".join(
        [
            "# Files of an evaluation",
            "",
            "What `decontext evaluate` writes, made from the program's own schema; "
            "[what each figure is](../measuring.md) says how it is measured. In names of columns "
            "`…` stands for each recogniser: `sface`, `dlib`, `arcface` where its weights are "
            "there. CSV is UTF-8 with commas and a point in numbers, an empty cell is a null. "
            "Parquet has strings, 64-bit whole numbers and doubles; unit and meaning lie in each "
            "field's metadata.",
            "",
            "## edits.csv, edits.parquet",
            "",
            "A row for each edit.",
            "",
            *_columns(EDITS),
            "",
            "## summary.csv, summary.parquet",
            "",
            "A row for each version after each transform; means over its edits.",
            "",
            *_columns(SUMMARY),
            "",
            "## results.jsonl",
            "",
            "One JSON object a line. What it is stands in `kind`; all but `heading` also have "
            "`photo`, the name of the file, and `sha256`, its content.",
            "",
            *(line for kind in ROWS for line in _kind(kind)),
        ]
    )


def _columns(columns: Sequence[Column]) -> list[str]:
    rows = [
        f"| `{one.name.replace('{}', '…')}` | {TYPES[one.type]} | {one.unit} | {one.meaning} |"
        for one in columns
    ]
    return ["| column | type | unit | meaning |", "|---|---|---|---|", *rows]


def _kind(kind: str) -> list[str]:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in ROWS[kind].items()]
    return [f"### {kind}", "", "| field | meaning |", "|---|---|", *rows, ""]
