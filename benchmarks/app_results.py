"""What scripts measured of the page of `decontext app`: docs/app.json, and parts of docs/app.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.sections import put

RESULTS, PAGE = Path("docs/app.json"), Path("docs/app.md")


def read_measured() -> dict[str, Any]:
    """All that was measured, by the name of its part in docs/app.md."""
    content: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    return content


def keep_measured(part: str, found: dict[str, Any], text: str) -> None:
    """Keep what was measured, and put the text that was made of it into docs/app.md."""
    everything = read_measured() | {part: found}
    RESULTS.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    put(PAGE, part, text)
