"""The embedded editor: a small FluxKontextPipeline inside the package, for demonstration and tests.

It loads through exactly the code that loads FLUX.1 Kontext; only the folder differs. Protecting a
photo against it does not protect against any other editor.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.editors._base import EditorInfo
from decontext.errors import EditorError

if TYPE_CHECKING:
    import torch

    from decontext.editors.flux_kontext import FluxKontextEditor

WEIGHTS = Path(__file__).with_name("kontext_mini_weights")
DEFAULT_STEPS = 16


def _describe() -> EditorInfo:
    """What there is to know; block counts are read from the weights' own configuration."""
    config = WEIGHTS / "transformer" / "config.json"
    blocks = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return EditorInfo(
        name="kontext-mini",
        title="kontext-mini, the embedded demonstration editor",
        weights="inside the package",
        licence="Apache-2.0",
        double_blocks=blocks.get("num_layers", 0),
        single_blocks=blocks.get("num_single_layers", 0),
        working_size="about 128 x 128 by area, any aspect ratio",
        memory="under 1 GB, no GPU needed",
        demonstration=True,
    )


INFO = _describe()


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
) -> FluxKontextEditor:
    """Load the embedded editor, in float32 unless told otherwise.

    Raises:
        InputError: there is no such device or precision.
        EditorError: the weights are not in this installation, or a part is damaged.
    """
    from decontext.editors import flux_kontext

    if source is None and not WEIGHTS.is_dir():
        raise EditorError(
            f"kontext-mini: its weights are not in this installation ({WEIGHTS} is missing)",
            "install decontext again, or train the editor with the scripts in training/",
        )
    return flux_kontext.load_pipeline(
        source or WEIGHTS,
        INFO if source is None else replace(INFO, weights=str(source)),
        device=device,
        dtype=dtype or "float32",
        cache=cache,
        default_steps=DEFAULT_STEPS,
    )
