"""A FLUX.2 klein that was trained at a small area: photos are reduced, or enlarged, as a whole.

Otherwise all is as in `kind.py`, `wiring.py` and `loading.py`. An ordinary klein works at a photo's
own size with 512 text tokens; one that was trained at 128 pixels with 16 is lost there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decontext.editors._base import EditorInfo
from decontext.editors.flux import family
from decontext.editors.flux2.kind import KLEIN, SIDES, Flux2Kind
from decontext.editors.flux2.loading import load_flux2
from decontext.editors.flux2.wiring import Flux2Wiring
from decontext.editors.joint.editor import Edit, JointEditor
from decontext.editors.joint.engine import Size
from decontext.photo.resampling import resize


class SmallWiring(Flux2Wiring):
    """See `Flux2Wiring`; nothing is cut off."""

    def bring(self, image: Tensor, size: Size) -> Tensor:
        return image if size == (image.shape[-1], image.shape[-2]) else resize(image, size)


class SmallKind(Flux2Kind):
    """See `Flux2Kind`. `side` squared is the area, `token` the pixels a side of a token."""

    def __init__(self, *, side: int, token: int, steps: int) -> None:
        super().__init__(steps=steps, guidance=1.0, distilled=True)
        self.square: Size = (side, side)
        self._side, self._token = side, token

    def wire(self, vae: Any) -> SmallWiring:
        return SmallWiring(vae)

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        """Of about the same area whatever the ratio; longer strips than 4 to 1 are squeezed."""
        area = side or self._side
        ratio = (width / height) ** 0.5
        longest = max(area**2 / SIDES, SIDES)
        wide, high = (
            self._token * round(min(max(length, SIDES), longest) / self._token)
            for length in (area * ratio, area / ratio)
        )
        return wide, high

    def run(self, pipeline: Any, edit: Edit, text: Any, away: Any) -> Tensor:
        pictures = [
            picture.resize(self.working_size(*picture.size, None), Image.Resampling.LANCZOS)
            for picture in edit.pictures
        ]
        return super().run(pipeline, replace(edit, pictures=pictures), text, away)


def load_small(
    info: EditorInfo,
    source: str | Path,
    *,
    side: int,
    steps: int,
    text_tokens: int,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
) -> JointEditor:
    """Load a small Flux2KleinPipeline, in float32 unless told otherwise.

    `side` squared is the area, `steps` are those of an edit, `text_tokens` those of a pass, padding
    included.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """

    def make_kind(pipeline: Any) -> SmallKind:
        return SmallKind(side=side, token=family.token_side(pipeline.vae), steps=steps)

    return load_flux2(
        info,
        KLEIN,
        source,
        device=device,
        dtype=dtype or "float32",
        cache=cache,
        stream_weights=False,
        text_tokens=text_tokens,
        make_kind=make_kind,
        keep_embeddings=False,
    )
