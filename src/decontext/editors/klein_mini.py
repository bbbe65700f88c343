"""The second embedded editor: a small Flux2KleinPipeline, for what one editor cannot show.

It loads through exactly the code that loads FLUX.2 klein. Beside `kontext-mini` it has another
autoencoder, another text encoder, another transformer, and was trained from weights of its own on
other rendered people: whether protection against the one holds against the other can be measured.
Protecting a photo against it does not protect against any editor that people use.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.editors._embedded import describe_embedded, require_weights

if TYPE_CHECKING:
    import torch

    from decontext.editors.joint.editor import JointEditor

WEIGHTS = Path(__file__).with_name("klein_mini_weights")
SIDE, STEPS = 128, 16
TEXT_TOKENS = 16
"""Of a pass, padding included: as many as it was trained with. FLUX.2 has 512."""


INFO = describe_embedded(
    "klein-mini",
    "klein-mini, the second embedded demonstration editor",
    WEIGHTS,
    "about 128 x 128 by area, up to 4 to 1",
)


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

    if source is None:
        require_weights(INFO.name, WEIGHTS)
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
