"""The text side of editors whose text encoder does not see the photo."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from decontext.editors._base import Prompt
from decontext.editors.weights.text import ResidentText, TextEncoder


class BlindText:
    """See `joint.editor.TextSide`; pictures play no part."""

    sees = False

    def __init__(self, encoder: TextEncoder | ResidentText) -> None:
        self._encoder, self.length = encoder, encoder.length

    def read(self, text: str, pictures: Sequence[Tensor], place: int) -> Prompt:
        del pictures, place
        return Prompt(text, self._encoder.encode(text))

    def prepare(self, texts: Sequence[str], pictures: Sequence[Tensor], place: int) -> None:
        del pictures, place
        self._encoder.prepare(texts)
