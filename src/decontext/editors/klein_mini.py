"""The second embedded editor: a small Flux2KleinPipeline, for what one editor cannot show.

It loads through exactly the code that loads FLUX.2 klein. Beside `kontext-mini` it has another
autoencoder, another text encoder, another transformer, and was trained from weights of its own on
other rendered people: whether protection against the one holds against the other can be measured.
Protecting a photo against it does not protect against any editor that people use.
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

    from decontext.editors.joint.editor import JointEditor

WEIGHTS = Path(__file__).with_name("klein_mini_weights")
SIDE, STEPS = 128, 16
TEXT_TOKENS = 16
"""Of a pass, padding included: as many as it was trained with. FLUX.2 has 512."""


def _describe() -> EditorInfo:
    """What there is to know; block counts are read from the weights' own configuration."""
    config = WEIGHTS / "transformer" / "config.json"
    blocks = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return EditorInfo(
        name="klein-mini",
        title="klein-mini, the second embedded demonstration editor",
        weights="inside the package",
        licence="Apache-2.0",
        double_blocks=blocks.get("num_layers", 0),
        single_blocks=blocks.get("num_single_layers", 0),
        working_size="about 128 x 128 by area, up to 4 to 1",
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
) -> JointEditor:
    """Load the editor, in float32 unless told otherwise.

    Raises:
        InputError: there is no such device or precision.
        EditorError: the weights are not in this installation, or a part is damaged.
    """
    from decontext.editors.flux2.small import load_small

    if source is None and not WEIGHTS.is_dir():
        raise EditorError(
            f"klein-mini: its weights are not in this installation ({WEIGHTS} is missing)",
            "install decontext again, or train the editor with the scripts in training/",
        )
    editor = load_small(
        INFO,
        source or WEIGHTS,
        side=SIDE,
        steps=STEPS,
        text_tokens=TEXT_TOKENS,
        device=device,
        dtype=dtype,
        cache=cache,
    )
    if source is None:
        editor.info = replace(editor.info, weights=INFO.weights)
    return editor
