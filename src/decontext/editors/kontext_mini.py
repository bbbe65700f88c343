"""The embedded editor: a small FluxKontextPipeline inside the package, for demonstration and tests.

It loads through exactly the code that loads FLUX.1 Kontext; only the folder differs. Protecting a
photo against it does not protect against any other editor.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.editors._embedded import describe_embedded, require_weights

if TYPE_CHECKING:
    import torch

    from decontext.editors.flux_kontext import FluxKontextEditor

WEIGHTS = Path(__file__).with_name("kontext_mini_weights")
DEFAULT_STEPS = 16


INFO = describe_embedded(
    "kontext-mini",
    "kontext-mini, the embedded demonstration editor",
    WEIGHTS,
    "about 128 x 128 by area, any aspect ratio",
)


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

    if source is None:
        require_weights(INFO.name, WEIGHTS)
    return flux_kontext.load_pipeline(
        source or WEIGHTS,
        INFO if source is None else replace(INFO, weights=str(source)),
        device=device,
        dtype=dtype or "float32",
        cache=cache,
        default_steps=DEFAULT_STEPS,
    )
