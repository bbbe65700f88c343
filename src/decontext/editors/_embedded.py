"""What the embedded demonstration editors have in common: what is known of them, and their weights.

They are small diffusers pipelines inside the package, in the layout of the large editor that each
is built like, and load through that editor's code.
"""

from __future__ import annotations

import json
from pathlib import Path

from decontext.editors._base import EditorInfo
from decontext.errors import EditorError


def describe_embedded(name: str, title: str, weights: Path, working_size: str) -> EditorInfo:
    """What there is to know; block counts are read from the weights' own configuration."""
    config = weights / "transformer" / "config.json"
    blocks = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return EditorInfo(
        name=name,
        title=title,
        weights="inside the package",
        licence="Apache-2.0",
        double_blocks=blocks.get("num_layers", 0),
        single_blocks=blocks.get("num_single_layers", 0),
        working_size=working_size,
        memory="under 1 GB, no GPU needed",
        demonstration=True,
    )


def require_weights(name: str, weights: Path) -> None:
    """Raises: EditorError: they are not in this installation."""
    if not weights.is_dir():
        raise EditorError(
            f"{name}: its weights are not in this installation ({weights} is missing)",
            "install decontext again, or train the editor with the scripts in training/",
        )
