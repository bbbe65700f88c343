"""What became of many photos, the worst first: a page, contact sheets and a table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageDraw, ImageOps

from decontext.folders.manifest import SAVED, STATUSES, Row
from decontext.folders.seen import FIELDS, describe_seen, seen_section
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.files import write_whole
from decontext.photo.images import load_photo
from decontext.report import DEMONSTRATION, DISCLAIMER, Figure, Section, build_page
from decontext.report.page import Row as PageRow

PAGE, TABLE = "index.html", "summary.csv"
SHEET = "contact-sheet-{number}.jpg"

COLUMNS = (
    "name",
    "status",
    "drop",
    "random_drop",
    "levels",
    "psnr_db",
    *FIELDS,
    "seconds",
    "message",
    "source",
    "original_sha256",
    "protected_sha256",
)
SHOWN_ROWS = 1000
"""Photos in the table of the page, so that it can be opened; all are in the CSV file."""

SHEETS = 10
"""Contact sheets at most, of the worst photos; each holds `ACROSS` times `DOWN`."""

ACROSS, DOWN, TILE, LABEL = 10, 10, 128, 14


Find = Callable[[str], Path | IO[bytes]]
"""Gives the protected photo of a name: its file, or its content."""


def write_summary(
    rows: Sequence[Row],
    folder: Path,
    *,
    editor: str = "",
    demonstration: bool = False,
    find: Find | None = None,
) -> Path:
    """Write page, contact sheets and `summary.csv` into the folder; returns the page.

    Pictures are read one after the other, whatever their number; `find` gives them where they lie
    elsewhere.

    Raises:
        InputError: something cannot be written.
    """
    ordered = worst_first(rows)
    write_whole(to_csv(ordered), folder / TABLE)
    shown = [row for row in ordered if row["status"] in SAVED]
    sheets = list(_write_sheets(shown, folder, find or folder.joinpath))
    sections = [
        *_sheet_section(sheets, len(shown)),
        Section("The worst first", texts=_remarks(len(ordered)), table=_table(ordered)),
        *seen_section(shown, find or folder.joinpath),
    ]
    statement = f"{DEMONSTRATION} {DISCLAIMER}" if demonstration else DISCLAIMER
    page = folder / PAGE
    against = f", against {editor}" if editor else ""
    lead = [f"{', '.join(_counts(ordered))}{against}."]
    content = build_page(f"{len(ordered)} photos", statement, sections, lead=lead)
    write_whole(content.encode("utf-8", "backslashreplace"), page)
    return page


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """What failed, then what is not protected, then by how far the attention fell."""

    def rank(row: Row) -> tuple[int, float, str]:
        drop = row.get("drop")
        return STATUSES.index(row["status"]), 0.0 if drop is None else drop, row["name"]

    return sorted(rows, key=rank)


def to_csv(rows: Sequence[Row]) -> bytes:
    """Comma-separated UTF-8 with a head; numbers with a point, what is missing is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _counts(rows: Sequence[Row]) -> list[str]:
    found = [(sum(row["status"] == name for row in rows), name) for name in STATUSES]
    return [f"{count} {name}" for count, name in found if count]


def _remarks(count: int) -> list[str]:
    texts = [
        "Fell by: how far the attention to the photo fell, as measured on the saved file; random "
        "noise: how far it falls under noise as strong. PSNR and levels: how much was changed."
    ]
    if count > SHOWN_ROWS:
        texts.append(f"The table ends after {SHOWN_ROWS} of {count} photos; {TABLE} holds all.")
    return texts


def _table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    head = ("photo", "what became of it", "fell by", "random noise", "the change", "PSNR", "levels",
            "time")  # fmt: skip
    return [head, *(_cells(row) for row in rows[:SHOWN_ROWS])]


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    def show(name: str, form: str) -> str:
        value = row.get(name)
        # Less than half a percent below nothing is nothing, and not "-0%".
        return "" if value is None else form.format(value).replace("-0%", "0%")

    # Where the photo came from says nothing new beside its name.
    message = row["message"].replace(row["source"], row["name"])
    return (
        row["name"],
        f"{row['status']}: {message}" if message else row["status"],
        show("drop", "{:.0%}"),
        show("random_drop", "{:.0%}"),
        describe_seen(row),
        show("psnr_db", "{:.1f} dB"),
        show("levels", "{}"),
        show("seconds", "{:.1f} s"),
    )


def _sheet_section(sheets: Sequence[Path], shown: int) -> Iterator[Section]:
    if sheets:
        names = ", ".join(path.name for path in sheets)
        figure = Figure(load_photo(sheets[0]).pixels, sheets[0].name, alt="thumbnails of photos")
        count = min(shown, ACROSS * DOWN)
        texts = [f"The {count} whose attention fell least, from the least on: {names}."]
        yield Section("Contact sheet", texts=texts, rows=[PageRow([figure], shape="plots")])


def _write_sheets(rows: Sequence[Row], folder: Path, find: Find) -> Iterator[Path]:
    """Contact sheets of protected photos, with how far the attention fell under each."""
    for number in range(min(SHEETS, -(-len(rows) // (ACROSS * DOWN)))):
        part = rows[number * ACROSS * DOWN : (number + 1) * ACROSS * DOWN]
        content = io.BytesIO()
        _draw_sheet(part, find).save(content, "JPEG", quality=85)
        path = folder / SHEET.format(number=number + 1)
        write_whole(content.getbuffer(), path)
        yield path


def _draw_sheet(rows: Sequence[Row], find: Find) -> Image.Image:
    across = min(ACROSS, len(rows))
    down = -(-len(rows) // across)
    sheet = Image.new("RGB", (across * TILE, down * (TILE + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, row in enumerate(rows):
        left, top = index % across * TILE, index // across * (TILE + LABEL)
        picture = _read_thumbnail(find(row["name"]))
        if picture is not None:
            x, y = (TILE - picture.width) // 2, (TILE - picture.height) // 2
            sheet.paste(picture, (left + x, top + y))
        name = row["name"].rpartition("/")[2].encode("ascii", "replace").decode()
        draw.text((left + 2, top + TILE), f"{row['drop']:.0%} {name}"[:20], fill="black")
    return sheet


def _read_thumbnail(source: Path | IO[bytes]) -> Image.Image | None:
    """A picture no larger than a tile; JPEG files are read at a fraction of their size."""
    try:
        with quiet_decoders(), Image.open(source) as image:
            image.draft("RGB", (2 * TILE, 2 * TILE))
            image.thumbnail((TILE - 4, TILE - 4))
            return ImageOps.exif_transpose(image).convert("RGB")
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return None
