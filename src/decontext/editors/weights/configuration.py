"""Configurations of an editor's parts: read and judged before anything is built from them.

A file that was damaged, or made to do harm, may ask for a billion layers. Building them would take
the machine's memory before any weight is missed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from decontext.errors import EditorError

LARGEST = 10_000_000
"""Of any whole number: above the largest vocabulary."""

LARGEST_PICTURE = 1_000_000_000
"""Pixels, of those to which a processor limits a picture."""

MOST_LAYERS = 1_000

LIBRARY_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    ImportError,
    MemoryError,
    SafetensorError,
)
"""What libraries raise where files or numbers make no sense to them."""


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises: OSError or ValueError, whatever is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_config(editor: str, folder: Path, part: str, name: str = "config.json") -> dict[str, Any]:
    """The configuration of a part of a folder, with numbers that a model can have.

    Raises:
        EditorError: it is missing, no configuration, or absurd; the message names the part.
    """
    try:
        content = read_json(folder / part / name)
    except (OSError, ValueError) as error:
        raise damaged(editor, folder, part, f"{part}/{name}: {error}") from error
    if not isinstance(content, dict):
        raise damaged(editor, folder, part, f"{part}/{name} holds no settings")
    if absurd := _find_absurd(content):
        raise damaged(editor, folder, part, f"{part}/{name}: {absurd}")
    return content


def damaged(editor: str, folder: Path, part: str, reason: str) -> EditorError:
    """The error that says so and what to do."""
    return EditorError(
        f"{editor}: the part {part!r} of {folder} is damaged or incomplete ({reason})",
        "copy or download the folder again",
    )


def _find_absurd(content: dict[str, Any]) -> str:
    """What no model can have, in words; empty where there is nothing of the kind."""
    for name, value in content.items():
        if name == "model_max_length":  # of tokenizers; "no limit" is a very large number
            numbers, limit = [value], math.inf
        else:
            numbers = value if isinstance(value, list) else [value]
            limit = MOST_LAYERS if "layers" in name else LARGEST
            limit = LARGEST_PICTURE if name in _PIXELS else limit
        for number in numbers:
            if isinstance(number, dict):
                absurd = _find_absurd(number)
                if absurd:
                    return absurd
            elif isinstance(number, int) and abs(number) > limit:
                return f"{name} is {str(number)[:24]}; {limit} is the most that is understood"
        if name in _NUMBERS and not _is_number(value):
            return f"{name} is {str(value)[:24]!r}; it must be a number"
    return ""


_PIXELS = ("min_pixels", "max_pixels", "shortest_edge", "longest_edge")
_NUMBERS = ("scaling_factor", "shift_factor", "sample_size", "model_max_length")


def _is_number(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and math.isfinite(value) and not isinstance(value, bool)
