"""The schema of an evaluation's files says all that is in them, and nothing that is not."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.errors import AttentionError
from decontext.evaluation import photo_run, schema
from decontext.evaluation.plan import NONE, Plan, build_protections
from decontext.evaluation.results import Row
from decontext.evaluation.run import evaluate
from decontext.evaluation.spreadsheet import write_spreadsheets
from decontext.photo.portraits import ASTRONAUT
from decontext.settings import ProtectSettings
from website import schema as schema_page

PLAN = Plan(
    protections=build_protections(
        ("uniform",), (16 / 255,), settings=ProtectSettings(steps=1, blocks="double:0")
    ),
    transforms=(NONE,),
    prompts=("please smile",),
    edit_steps=1,
    measure_prompts=1,
    cut=False,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def rows(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Of a photo that was evaluated, one that is none, and a version that failed."""
    weights = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    editor = decontext.load_editor("flux-kontext", source=weights, device="cpu")
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").crop((100, 0, 350, 250)).resize((64, 64)).save(folder / "a.png")
    failing = replace(PLAN, protections=build_protections(
        ("random-sign",), (8 / 255,), settings=ProtectSettings(steps=1, blocks="double:0")
    ))  # fmt: skip
    evaluate([folder / "a.png"], folder / "out", editor, PLAN)

    def fail(*arguments: Any) -> Any:
        raise AttentionError("no attention was seen.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_run, "protect_steps", fail)
        return evaluate([folder / "a.png"], folder / "out", editor, failing)


def test_every_field_of_every_row_is_in_the_schema(rows: list[Row]) -> None:
    found = defaultdict(set)
    for row in rows:
        found[row["kind"]] |= set(row)
    assert set(found) == set(schema.ROWS)
    for kind, fields in found.items():
        shared = set(schema.SHARED) if kind != "heading" else {"kind"}
        optional = {"others"} if kind == "heading" else set()
        assert fields | optional == set(schema.ROWS[kind]) | shared, kind


def test_spreadsheets_have_the_columns_of_the_schema(rows: list[Row], folder: Path) -> None:
    written = write_spreadsheets(rows, folder)
    names = list(rows[0]["thresholds"])
    kinds = {"text": "string", "whole": "int64", "number": "double"}
    for columns, (text, typed) in (
        (schema.EDITS, written[:2]),
        (schema.SUMMARY, written[2:]),
    ):
        wanted = schema.expand(columns, names)
        with text.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == [one.name for one in wanted]
        fields = pyarrow.parquet.read_schema(typed)
        for one, field in zip(wanted, fields, strict=True):
            assert (one.name, kinds[one.type]) == (field.name, str(field.type))
            assert field.metadata[b"meaning"].decode() == one.meaning
            assert field.metadata[b"unit"].decode() == one.unit


def test_page_of_the_schema_names_every_column_and_field() -> None:
    page = schema_page.page()
    for column in (*schema.EDITS, *schema.SUMMARY):
        name = column.name.replace("{}", "…")
        assert f"| `{name}` |" in page
        assert column.meaning
    for fields in schema.ROWS.values():
        for name, meaning in fields.items():
            assert f"| `{name}` | {meaning} |" in page
