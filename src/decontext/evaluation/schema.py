"""What stands in the files of an evaluation: every column and field, its type, unit and meaning.

Spreadsheets are written by it, the reference on the site is made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Type = Literal["text", "whole", "number"]
"""In Parquet: string, int64 and double; all may be null."""


@dataclass(frozen=True)
class Column:
    """One column of a table. `{}` in its name stands for each recogniser."""

    name: str
    type: Type
    unit: str
    meaning: str


IDENTITY = "-1 to 1"
PART = "0 to 1"
LEVELS = "8-bit levels"

_MOVED = Column("levels", "whole", LEVELS, "largest change of a colour value by the protection")
_DISTANCE = (
    Column("ssimulacra2", "number", "up to 100", "how visible the change is; 100: not at all"),
    Column("jod", "number", "up to 10", "the same by ColorVideoVDP; null where not installed"),
    Column("psnr", "number", "dB", "distance of the protected photo from the original"),
    Column("worst_patch", "number", "dB", "the lowest PSNR of 64 x 64 pixels"),
    Column("ssim", "number", "up to 1", "structural similarity of protected photo and original"),
    Column("ms_ssim", "number", "up to 1", "the same over several scales"),
    Column("lpips", "number", "from 0", "learned perceptual distance; null where not installed"),
    Column("seconds", "number", "s", "time that protecting took"),
)
OF_A_PROTECTION: tuple[Column, ...] = (_MOVED, *_DISTANCE)
"""How a protected photo differs from its original, and how long that took."""

_EDITS_OF_ONE = (
    Column("likeness", "number", IDENTITY, "how alike edit and original are as pictures"),
    Column("blur", "number", PART, "blur of the edit; 0 is sharp"),
    Column("noise", "number", LEVELS, "standard deviation of the edit's fine noise"),
)

EDITS: tuple[Column, ...] = (
    Column("photo", "text", "", "name of the photo's file"),
    Column("sha256", "text", "", "content of the photo's file"),
    Column("version", "text", "", "name of what was edited: the original, or a protection"),
    Column("protection", "text", "", "key of its settings; `original`, or `cut` for the bound"),
    Column("transform", "text", "", "what happened to it before it was edited; `none`"),
    Column("instruction", "text", "", "what the editor was asked"),
    Column("seed", "whole", "", "of the edit's noise"),
    Column("identity_{}", "number", IDENTITY, "similarity to the original's person; null: no face"),
    Column("same_person_{}", "whole", "0 or 1", "whether that is at or above the threshold"),
    Column("faces", "whole", "", "faces found in the edit"),
    *_EDITS_OF_ONE,
    Column("method", "text", "", "setting of the protection, as the four below"),
    Column("objective", "text", "", "what was optimised"),
    Column("epsilon", "number", PART, "largest change allowed; null: the method's own"),
    Column("robust", "text", "", "what the protection is to outlast"),
    Column("steps", "whole", "", "optimisation steps at most"),
    Column("blocks", "text", "", "attention blocks that counted"),
    *OF_A_PROTECTION,
    Column("picture", "text", "", "file of the edit, below the folder"),
)
"""`edits.csv` and `edits.parquet`: a row for each edit."""

SUMMARY: tuple[Column, ...] = (
    Column("version", "text", "", "name of what was edited"),
    Column("protection", "text", "", "key of its settings; `original`, or `cut` for the bound"),
    Column("transform", "text", "", "what happened to it before it was edited; `none`"),
    Column("photos", "whole", "", "how many photos"),
    Column("edits", "whole", "", "how many edits"),
    Column("identity_{}", "number", IDENTITY, "mean over the edits that show a face"),
    Column("identity_{}_low", "number", IDENTITY, "lower end of its 95 % interval over photos"),
    Column("identity_{}_high", "number", IDENTITY, "upper end"),
    Column("identity_{}_photos", "whole", "", "photos that the interval is drawn from"),
    Column("identity_{}_worst", "number", IDENTITY, "the edit that shows the person most"),
    Column("same_person_{}", "number", PART, "part of the edits at or above the threshold"),
    Column("same_person_{}_low", "number", PART, "lower end of its 95 % interval over photos"),
    Column("same_person_{}_high", "number", PART, "upper end"),
    Column("face_found", "number", PART, "part of the edits with a face: 1 - FDFR"),
    *_EDITS_OF_ONE,
    Column("identity_drop", "number", IDENTITY, "fall of identity against edits of the original"),
    Column("kept", "number", "parts of 1", "part of the fall without a transform that is left"),
    Column("attention_drop", "number", "up to 1", "part by which the context proportion fell"),
    replace(_MOVED, type="number"),
    *_DISTANCE,
)
"""`summary.csv` and `summary.parquet`: a row for each version after each transform, means."""

_OF_A_VERSION = {
    "protection": "key of the protection, `original` or `cut`",
    "transform": "what happened to the photo before",
}

ROWS: dict[str, dict[str, str]] = {
    "heading": {
        "editor": "which editor edits",
        "weights": "eight characters that change with its weights",
        "edit_steps": "denoising steps; null: the editor's own",
        "rendered": "whether the photos show rendered people",
        "thresholds": "by recogniser: the similarity from which it says the same person",
        "likeness": "what compares pictures: `clip-i` or another network",
        "others": "further editors of the run, and their weights; only where there are any",
    },
    "photo": {
        "status": "`evaluated`, `duplicate`, `unreadable` or `failed`",
        "notes": "what is to be said of it, as sentences",
        "size": "width and height in pixels; of evaluated photos",
    },
    "protection": {
        "protection": "ten characters that stand for the settings",
        "label": "its name in tables",
        "settings": "all settings, as in the report of `decontext protect`",
        "against": "the editor that it was optimised on, several with `+`",
        "seconds": "time that it took (s)",
        **{
            one.name: f"{one.meaning} ({one.unit})"
            for one in OF_A_PROTECTION
            if one.name != "seconds"
        },
    },
    "edit": {
        **_OF_A_VERSION,
        "prompt": "the instruction",
        "seed": "of the edit's noise",
        "identity": "by recogniser: similarity to the original's person; null: no face",
        "faces": "faces found",
        "picture": "file of the edit, below the folder",
        **{one.name: f"{one.meaning} ({one.unit})" for one in _EDITS_OF_ONE},
    },
    "measurement": {
        **_OF_A_VERSION,
        "verdict": "whether it is strong",
        "level": "`strong`, `weak` or `none`",
        "original": "context proportion of the original after the same transform",
        "protected": "that of the protected photo",
        "random": "that of the original with random noise",
        "drop": "by what part it fell",
    },
    "failure": {
        "protection": "which version failed",
        "message": "why",
    },
}
"""`results.jsonl`: fields by the row's `kind`. All but the heading also have `photo`, the name of
the file, and `sha256`, its content."""

SHARED = ("kind", "photo", "sha256")


def expand(columns: Sequence[Column], recognisers: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a file: those with a hole once for each recogniser, side by side with theirs.

    In the order that they are written in: all of one recogniser before those of the next.
    """
    found: list[Column] = []
    holes: list[Column] = []
    for column in (*columns, None):
        if column is not None and "{}" in column.name:
            holes.append(column)
            continue
        for name in recognisers if holes else ():
            found += [replace(one, name=one.name.format(name)) for one in holes]
        holes = []
        if column is not None:
            found.append(column)
    return tuple(found)
