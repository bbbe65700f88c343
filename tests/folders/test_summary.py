"""What is said of many photos at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from decontext.folders import summary
from decontext.folders.manifest import ALREADY, FAILED, NOT_PROTECTED, PROTECTED, WEAK
from decontext.folders.summary import worst_first, write_summary


def _row(name: str, status: str, drop: float | None = None, message: str = "") -> dict[str, Any]:
    row = {"kind": "photo", "name": name, "source": f"photos/{name}", "original_sha256": name}
    found = (
        {} if drop is None else {"drop": drop, "random_drop": -0.001, "levels": 8, "psnr_db": 40}
    )
    return (
        row | {"protected_sha256": "", "status": status, "message": message, "seconds": 1.0} | found
    )


ROWS = [
    _row("e.png", ALREADY),
    _row("d.png", PROTECTED, 0.9),
    _row("c.png", PROTECTED, 0.6),
    _row("sub/w.png", WEAK, 0.2),
    _row("b.png", NOT_PROTECTED),
    _row("<a>.png", FAILED, message="photos/<a>.png is damaged"),
]


def test_the_worst_come_first() -> None:
    names = [row["name"] for row in worst_first(ROWS)]
    assert names == ["<a>.png", "b.png", "sub/w.png", "c.png", "d.png", "e.png"]


def test_page_table_and_contact_sheets_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "ACROSS", 2)
    monkeypatch.setattr(summary, "DOWN", 1)
    (tmp_path / "sub").mkdir()
    for name, colour in (("c.png", "red"), ("d.png", "green"), ("sub/w.png", "blue")):
        Image.new("RGB", (300, 200), colour).save(tmp_path / name)
    page = write_summary(ROWS, tmp_path, editor="flux-kontext")
    text = page.read_text()
    assert "&lt;a&gt;.png" in text and ">failed: &lt;a&gt;.png is damaged<" in text
    assert "-0%" not in text
    assert ", against flux-kontext." in text
    assert text.index("b.png") < text.index("sub/w.png") < text.index("d.png")
    assert (tmp_path / "summary.csv").read_text().splitlines()[1].startswith("<a>.png,failed,")
    with Image.open(tmp_path / "contact-sheet-1.jpg") as sheet:
        assert sheet.size == (2 * summary.TILE, summary.TILE + summary.LABEL)
        red, green, blue = sheet.convert("RGB").getpixel((64, 64))  # the weak one comes first
        assert blue > 200 > red + green
    assert (tmp_path / "contact-sheet-2.jpg").exists()


def test_a_picture_that_is_gone_leaves_its_place_empty(tmp_path: Path) -> None:
    write_summary([_row("c.png", PROTECTED, 0.6)], tmp_path)
    with Image.open(tmp_path / "contact-sheet-1.jpg") as sheet:
        assert sheet.convert("RGB").getpixel((64, 64)) == (255, 255, 255)


def test_nothing_to_show_needs_no_sheet(tmp_path: Path) -> None:
    write_summary([_row("a.png", FAILED)], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "summary.csv"}
