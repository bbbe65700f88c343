"""Instructions as an objective draws them: encoded once, or with the photo as it has become.

Between the editors and the objectives on the way of the data. For an editor whose text encoder
does not see the photo an instruction is the same for good. Where it does, the photo reaches the
edit by a second way, and the encoded instruction ages while the photo changes.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from decontext.editors import Editor, Prompt
from decontext.errors import InputError


class Instructions:
    """Encodes instructions for an objective that is called once in every step.

    Args:
        editor: whose text encoder.
        photo: `(1, 3, height, width)` in [0, 1], which the text encoder sees at first.
        refresh: every so many steps, from the first on, it sees the photo of that step; 0: never.
        count_photo: the text tokens that stand for the photo count as context, and the gradient
            also runs through the text encoder, which then sees the photo of each step.

    Raises:
        InputError: something is asked for that needs a text encoder which sees the photo.
    """

    def __init__(
        self, editor: Editor, photo: Tensor, *, refresh: int = 0, count_photo: bool = False
    ) -> None:
        if (refresh or count_photo) and not editor.info.text_sees_photo:
            option = "--count-vlm-tokens" if count_photo else "--refresh-text"
            raise InputError(
                f"the text encoder of {editor.info.name} does not see the photo; {option} is for "
                "those that do.",
                "Leave it out.",
            )
        self._editor, self._photo = editor, photo
        self._refresh, self._count_photo = refresh, count_photo
        self._step = 0
        self._known: dict[str, Prompt] = {}

    @property
    def follows_photo(self) -> bool:
        """Whether a gradient reaches the photo through the text."""
        return self._count_photo

    def see(self, image: Tensor) -> None:
        """The photo of the next step, differentiable; to be called at the beginning of each."""
        if self._count_photo:
            self._photo = image
            self._known.clear()
        elif self._refresh and self._step % self._refresh == 0:
            # A copy: the optimiser changes its picture in place.
            self._photo = image.detach().clone()
            self._known.clear()
        self._step += 1

    def encode(self, text: str) -> Prompt:
        """The instruction with the photo last seen; encoded when it is first asked for."""
        if text not in self._known:
            prompt = self._editor.encode_prompt(text, self._photo)
            self._known[text] = replace(prompt, photo_counts=True) if self._count_photo else prompt
        return self._known[text]
