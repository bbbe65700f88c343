"""The text side of Step1X-Edit: an instruction and the photo, read together by Qwen2.5-VL.

The language model is asked, in a fixed wording, to describe the edited picture; what the editor
takes is not its answer but its last states over the question. The first of them, system text and
most of the wording, are dropped. The photo's own tokens stay among the rest: a second way on which
the photo reaches an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from decontext.editors.step1x.pixels import GRID

POSITIONS = 640
"""Text positions of a denoising pass, padding included; longer texts are cut."""

DROPPED = 217
"""States at the beginning that the editor never sees."""

_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
_END = "<|im_end|>\n<|im_start|>assistant\n"
_PAD, _PHOTO_ENDS = "<|image_pad|>", "<|vision_end|>"
_QUOTES = str.maketrans(dict.fromkeys("“”'", '"'))
"""The original takes an apostrophe for a quotation mark too."""


@dataclass(frozen=True)
class Reading:
    """What the language model made of one text and the photo.

    `states` is `(positions, width)`, without padding; `photo` says which positions hold the
    photo's tokens; `beside` is what else a version takes from it, see `text_v1_2`.
    """

    states: Tensor
    photo: range
    beside: Mapping[str, Tensor] = field(default_factory=dict)


class TextSide:
    """Qwen2.5-VL and its tokenizer.

    `model` is a `transformers.Qwen2_5_VLModel`, the language model without its last layer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.requires_grad_(False).eval()
        self._tokenizer = tokenizer
        self._prefix = read_prefix()

    def read(self, text: str, patches: Tensor, rows_columns: tuple[int, int]) -> Reading:
        """The states for a text, which may be empty, and a photo; differentiable in its patches."""
        rows, columns = rows_columns
        photo_tokens = rows * columns // GRID.merge**2
        ids = torch.tensor([self.tokenise(text, photo_tokens)], device=self.model.device)
        is_photo = ids == self._id(_PAD)
        states = self.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            # Without these the photo's tokens would get the positions of a line of text.
            mm_token_type_ids=is_photo.int(),
            pixel_values=patches,
            image_grid_thw=torch.tensor([[1, rows, columns]], device=ids.device),
            use_cache=False,
        ).last_hidden_state[0, DROPPED : DROPPED + POSITIONS]
        begin = int(is_photo[0].int().argmax()) - DROPPED
        start, stop = (min(max(at, 0), len(states)) for at in (begin, begin + photo_tokens))
        return Reading(states, range(start, stop))

    def tokenise(self, text: str, photo_tokens: int) -> list[int]:
        """Token ids of the whole question; the photo's place holder is repeated for its tokens."""
        before = f"{_SYSTEM}{self._prefix}Picture 1: <|vision_start|>{_PAD * photo_tokens}"
        after = spell_quoted(f"{_PHOTO_ENDS}{text}{_END}")
        return [*self._encode(before), *(i for part in after for i in self._encode_part(*part))]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _encode_part(self, text: str, spelled: bool) -> list[int]:
        """A quoted letter is encoded between curly marks, and these are taken off again.

        Where a mark melts with its neighbour into one token, the original leaves both; so a
        quoted space stays between its marks.
        """
        if not spelled:
            return self._encode(text)
        opening, closing = self._encode("“"), self._encode("”")
        ids = self._encode(f"“{text}”")
        begins, ends = ids[: len(opening)] == opening, ids[-len(closing) :] == closing
        return ids[len(opening) : -len(closing)] if begins and ends else ids

    def _id(self, token: str) -> int:
        number: int = self._tokenizer.convert_tokens_to_ids(token)
        return number


def spell_quoted(text: str) -> list[tuple[str, bool]]:
    """Parts of a text in order, and whether each is one letter of a quotation.

    A part that is none ends with the mark that opens a quotation, or begins with the one that
    closes it. A quotation that is never closed runs to the end.
    """
    parts: list[tuple[str, bool]] = []
    for number, piece in enumerate(text.translate(_QUOTES).split('"')):
        if number % 2:
            parts[-1] = (parts[-1][0] + '"', False)
            parts += [(letter, True) for letter in piece]
        else:
            parts.append(('"' + piece if number else piece, False))
    return parts


def read_prefix() -> str:
    """The fixed wording before the photo. Source: stepfun-ai/Step1X-Edit, Apache-2.0."""
    return files(__package__).joinpath("prefix.txt").read_text(encoding="utf-8")
