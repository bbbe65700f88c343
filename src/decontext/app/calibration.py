"""How visible a strength was on portraits that were measured: what the page shows before a run.

`strengths.json` and the pictures beside it are written by `python -m benchmarks.strengths`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

FOLDER = Path(str(files(__package__))) / "strengths"
RESULTS = FOLDER / "strengths.json"


@dataclass(frozen=True)
class Measured:
    """What a strength came to with an editor.

    Attributes:
        count: portraits.
        pixels: the longest side of the largest of them.
        words: how visible the change of the middle one is, as the library says it.
        low, middle, high: SSIMULACRA2.
        fall: by what part attention fell, in the middle.
        before, after: a portrait and the same protected, PNG or WebP without loss.
        width, height: of these.
    """

    count: int
    pixels: int
    words: str
    low: float
    middle: float
    high: float
    fall: float
    before: Path
    after: Path
    width: int
    height: int


def find_measured(editor: str, strength: str) -> Measured | None:
    """What was measured of this strength with this editor; None where nothing was."""
    found = _results().get(editor, {}).get(strength)
    if found is None:
        return None
    pictures = {name: FOLDER / found[name] for name in ("before", "after")}
    return Measured(**found | pictures)


@cache
def _results() -> dict[str, dict[str, dict[str, Any]]]:
    if not RESULTS.is_file():
        return {}
    content: dict[str, dict[str, dict[str, Any]]] = json.loads(RESULTS.read_text("utf-8"))
    return content
