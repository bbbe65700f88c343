"""The results for spreadsheets and other programs: one row an edit, and a summary.

As CSV always, as Parquet too where pyarrow is installed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from decontext.evaluation import schema
from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import CUT, ORIGINAL
from decontext.evaluation.results import Row, content_of
from decontext.photo.files import write_whole

EDITS, SUMMARY = "edits.csv", "summary.csv"
_PHOTO = tuple(column.name for column in schema.OF_A_PROTECTION)
_SETTINGS = ("method", "objective", "epsilon", "robust", "steps", "blocks")

Cells = dict[str, Any]


def write_spreadsheets(rows: list[Row], folder: Path) -> tuple[Path, ...]:
    """Write `edits` and `summary` into the folder of an evaluation, each as .csv and .parquet.

    Numbers have a point and all their digits; what is missing is an empty cell, in Parquet a null.
    Without pyarrow (extra `eval`) there is no Parquet.

    Raises:
        InputError: they cannot be written.
    """
    figures = Figures(rows)
    written = []
    for name, columns, table in (
        (EDITS, schema.EDITS, _edit_cells(figures)),
        (SUMMARY, schema.SUMMARY, _summary_cells(figures)),
    ):
        path = folder / name
        write_whole(_to_csv(table), path)
        written.append(path)
        if table and find_spec("pyarrow"):
            written.append(path.with_suffix(".parquet"))
            kinds = schema.expand(columns, figures.recognisers)
            write_whole(_to_parquet(table, kinds), written[-1])
    return tuple(written)


def _edit_cells(figures: Figures) -> list[Cells]:
    """One row for each edit, with what is known of its photo and its protection."""
    protections = {
        (content_of(row), row["protection"]): row
        for row in figures.rows
        if row["kind"] == "protection"
    }
    table = []
    for row in figures.rows:
        if row["kind"] != "edit":
            continue
        found = protections.get((content_of(row), row["protection"]), {})
        settings = found.get("settings", {})
        cells = {
            "photo": row["photo"],
            "sha256": row.get("sha256"),
            "version": figures.labels.get(row["protection"], row["protection"]),
            "protection": row["protection"],
            "transform": row["transform"],
            "instruction": row["prompt"],
            "seed": row["seed"],
        }
        for name, threshold in figures.heading["thresholds"].items():
            value = row["identity"].get(name)
            cells[f"identity_{name}"] = value
            cells[f"same_person_{name}"] = int(value is not None and value >= threshold)
        cells |= {name: row.get(name) for name in ("faces", "likeness", "blur", "noise")}
        cells |= {name: settings.get(name) for name in _SETTINGS}
        cells |= {name: found.get(name) for name in _PHOTO}
        table.append(cells | {"picture": row.get("picture")})
    return table


def _summary_cells(figures: Figures) -> list[Cells]:
    """One row for each version after each transform."""
    return [
        _summarise(figures, version, label, transform)
        for version, label in figures.labels.items()
        for transform in figures.transforms
        if figures.edits(version, transform)
    ]


def _summarise(figures: Figures, version: str, label: str, transform: str) -> Cells:
    edits = figures.edits(version, transform)
    cells: Cells = {
        "version": label,
        "protection": version,
        "transform": transform,
        "photos": len(set(map(content_of, edits))),
        "edits": len(edits),
    }
    for name in figures.recognisers:
        found = figures.identity(version, transform, recogniser=name)
        cells |= {
            f"identity_{name}": found.mean,
            f"identity_{name}_low": found.low,
            f"identity_{name}_high": found.high,
            f"identity_{name}_photos": found.groups,
            f"identity_{name}_worst": found.worst,
            f"same_person_{name}": found.share,
            f"same_person_{name}_low": found.share_low,
            f"same_person_{name}_high": found.share_high,
        }
    cells["face_found"] = figures.face_found(version, transform)
    for name in ("likeness", "blur", "noise"):
        cells[name] = figures.value(name, version, transform).mean
    protected = version not in (ORIGINAL, CUT)
    cells["identity_drop"] = figures.identity_drop(version, transform) if protected else None
    cells["kept"] = figures.kept(version, transform) if protected else None
    cells["attention_drop"] = figures.attention_drop(version, transform).mean if protected else None
    for name in _PHOTO:
        cells[name] = figures.fidelity(name, version).mean if protected else None
    return cells


def _to_csv(table: Sequence[Cells]) -> bytes:
    """Comma-separated UTF-8 with a head; nothing where there are no rows."""
    text = io.StringIO(newline="")
    if table:
        writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return text.getvalue().encode()


def _to_parquet(table: Sequence[Cells], columns: Sequence[schema.Column]) -> bytes:
    """Columns as in the CSV file, with the schema's types; unit and meaning lie with each."""
    import pyarrow
    import pyarrow.parquet

    types = {"text": pyarrow.string(), "whole": pyarrow.int64(), "number": pyarrow.float64()}
    fields = [
        pyarrow.field(
            one.name, types[one.type], metadata={"unit": one.unit, "meaning": one.meaning}
        )
        for one in columns
    ]
    cells = [[_typed(row[one.name], one.type) for row in table] for one in columns]
    sink = io.BytesIO()
    made = pyarrow.table(cells, schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(made, sink)
    return sink.getvalue()


def _typed(value: Any, kind: schema.Type) -> Any:
    """A cell with the type of its column; a whole number may stand in a column of numbers."""
    return float(value) if kind == "number" and value is not None else value
