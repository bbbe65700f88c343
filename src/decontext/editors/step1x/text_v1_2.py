"""The text side of Step1X-Edit v1.2: the instruction first, then the photo, and nothing is padded.

The last states over the question are taken as in the other versions. Beside them go: when in the
question each token comes, which becomes its place on the first position axis; and the letters that
the instruction has in quotation marks, to which the transformer looks once more as they are.

Source: the program of its authors (Peyton-Chen/diffusers, Apache-2.0); equality with it is held by
tests/parity/test_step1x_edit_v1_2_parity.py.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from decontext.editors.language.processor import PAD
from decontext.editors.step1x.pixels import GRID_V1_2
from decontext.editors.step1x.text import Reading
from decontext.errors import EditorError, InputError

LONGEST = 2048
"""Text positions of a denoising pass; longer texts are cut. Fewer are not padded."""

DROPPED = 90
"""States at the beginning that the editor never sees: system text and fixed wording."""

WORDS = 64
"""Text tokens of a pass, beside those of the photo, that plans count with."""

CENTRE = (GRID_V1_2.token - 1) / 2
"""Pixel in the middle of a token of the language model, from its first."""

TARGET_TOKEN, TARGET_CENTRE = 16, 11
"""The same of a target token, and the pixel at which the program puts it; the middle is 7.5."""

_CLOSING = {'"': '"', "“": "”"}


class UnpaddedTextSide:
    """Qwen2.5-VL and its tokenizer, whose chat template words the question.

    `model` is a `transformers.Qwen2_5_VLModel`, the language model without its last layer.

    Raises: EditorError, the tokenizer has no chat template.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.requires_grad_(False).eval()
        self._tokenizer = tokenizer
        self._prefix = read_prefix()
        self._own = {str(token.content) for token in tokenizer.added_tokens_decoder.values()}
        if not tokenizer.chat_template:
            raise EditorError(
                "the tokenizer of Step1X-Edit v1.2 has no chat template, which words its questions",
                "copy or download the folder again",
            )

    def read(self, text: str, patches: Tensor, rows_columns: tuple[int, int]) -> Reading:
        """The states for a text, which may be empty, and a photo; differentiable in its patches.

        Beside them `times` `(tokens,)`, see `place_in_time`; `letters` `(letters,)`, which tokens
        are quoted letters, and their `embeddings` `(letters, width)`; `grid`, how many rows and
        columns of tokens the photo has.

        Raises: InputError, the text holds one of the tokenizer's own words.
        """
        grid = (rows_columns[0] // GRID_V1_2.merge, rows_columns[1] // GRID_V1_2.merge)
        numbers, quoted = self.tokenise(text, grid[0] * grid[1])
        ids = torch.tensor([numbers], device=self.model.device)
        is_photo = ids == self._tokenizer.convert_tokens_to_ids(PAD)
        states = self.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            # Without these the photo's tokens would get the positions of a line of text.
            mm_token_type_ids=is_photo.int(),
            pixel_values=patches,
            image_grid_thw=torch.tensor([[1, *rows_columns]], device=ids.device),
            use_cache=False,
        ).last_hidden_state[0, DROPPED : DROPPED + LONGEST]
        begin = int(is_photo[0].int().argmax())
        places = (begin - DROPPED, begin - DROPPED + grid[0] * grid[1])
        start, stop = (min(max(at, 0), len(states)) for at in places)
        kept = slice(DROPPED, DROPPED + len(states))
        letters = torch.tensor(quoted, device=ids.device)[kept].nonzero()[:, 0]
        return Reading(
            states,
            range(start, stop),
            {
                "times": place_in_time(begin, grid, len(numbers), kept),
                "letters": letters,
                "embeddings": self.model.get_input_embeddings()(ids[0, kept][letters]),
                "grid": torch.tensor(grid),
            },
        )

    def tokenise(self, text: str, photo_tokens: int) -> tuple[list[int], list[bool]]:
        """Token ids of the whole question, and which of them are letters of a quotation.

        Raises: InputError, the text holds one of the tokenizer's own words.
        """
        if found := next((word for word in sorted(self._own) if word in text), None):
            raise InputError(
                f"the instruction holds {found}, which means something to the language model.",
                "Leave it out.",
            )
        content = [{"type": "text", "text": f"{self._prefix} {text}"}, {"type": "image"}]
        question = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
            add_vision_id=True,
        )
        ids: list[int] = []
        quoted: list[bool] = []
        for part, spelled in self._divide(question):
            found_ids = self._tokenizer(part, add_special_tokens=False)["input_ids"]
            ids += found_ids * photo_tokens if part == PAD else found_ids
            quoted += [spelled] * (len(ids) - len(quoted))
        return ids, quoted

    def _divide(self, question: str) -> list[tuple[str, bool]]:
        """The parts that are encoded each for itself; in our own wording nothing is quoted."""
        own = sorted(self._own, key=len, reverse=True)
        parts: list[tuple[str, bool]] = []
        at = 0
        for piece in re.split(f"({'|'.join(map(re.escape, own))})", question):
            parts += spell_quotations(piece, max(0, len(self._prefix) - at))
            at += len(piece)
        return parts


def spell_quotations(text: str, begin: int = 0) -> list[tuple[str, bool]]:
    """Parts of a text in order, and whether each is one letter of a quotation.

    Quotations are looked for from the letter `begin` on, between straight marks or curly ones. A
    part that is none ends with the mark that opens a quotation, or begins with the one that closes
    it. After a mark that opens and is never closed nothing is a quotation.
    """
    parts: list[tuple[str, bool]] = []
    said = 0
    while opening := re.search('["“]', text[begin:]):
        first = begin + opening.end()
        last = text.find(_CLOSING[opening[0]], first)
        if last < 0:
            break
        parts += [(text[said:first], False), *((letter, True) for letter in text[first:last])]
        said, begin = last, last + 1
    return [*parts, (text[said:], False)] if text[said:] else parts


def place_in_time(begin: int, grid: tuple[int, int], length: int, kept: slice) -> Tensor:
    """When each kept token of a question comes, `(tokens,)` float32, the last one at -1.

    The photo's tokens, from `begin` on, come at one time; what follows them comes after as many
    more as the photo has rows or columns. Source: the language model's own positions.
    """
    photo = grid[0] * grid[1]
    after = length - begin - photo
    times = torch.cat(
        [
            torch.arange(begin),
            torch.full((photo,), begin),
            begin + max(grid) + torch.arange(after),
        ]
    )[kept].float()
    return times - (times.max() + 1)


def place_text(times: Tensor, photo: range, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Position ids `(tokens, 3)`, float32, of text tokens in a pass at a working size.

    Words are at the origin of the picture, each at its time; the photo's tokens lie over the target
    tokens that show the same part, between them where need be. `size` is `(width, height)`.
    """
    places = torch.zeros((len(times), 3))
    places[:, 0] = times
    rows, columns = (
        _place_along(count, length) for count, length in zip(grid, size[::-1], strict=True)
    )
    over = torch.cartesian_prod(rows, columns)[: len(photo)]
    places[photo.start : photo.stop, 1:] = over.float()
    return places


def _place_along(count: int, length: int) -> Tensor:
    """Where along a side of `length` pixels `count` tokens lie, in target tokens, float64."""
    seen = count * GRID_V1_2.token
    pixels = torch.arange(count, dtype=torch.float64) * GRID_V1_2.token + CENTRE
    return (pixels * (length - 1) / (seen - 1) - TARGET_CENTRE) / TARGET_TOKEN


def read_prefix() -> str:
    """The fixed wording before the instruction. Source: Peyton-Chen/diffusers, Apache-2.0."""
    return files(__package__).joinpath("prefix_v1_2.txt").read_text(encoding="utf-8")
