"""In which order the tokens of a pass of Qwen-Image-2.1 lie, settled from what is no number.

Which of the language model's tokens are pictures is looked at in Python, run by run: on any device
tensors are only cut and joined, so that a pass can be followed where there are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from decontext.editors.joint.engine import Text
from decontext.errors import EditorError

TOKENS_PER_PLACE = 4
"""Of the transformer, where the language model has one token of a picture of the same size."""


def places_of(text: Text) -> Tensor:
    """Which of the language model's tokens are a picture's, `(tokens,)`."""
    if text.places is None:
        raise EditorError("an instruction without the places of its pictures cannot be used")
    return text.places[0]


@dataclass(frozen=True)
class Run:
    """Tokens of a pass that belong together: a text, or one picture.

    Attributes:
        begin, end: among the tokens of the pass.
        is_text: whether they are text.
        source: where they begin among the language model's tokens, or those of all pictures.
    """

    begin: int
    end: int
    is_text: bool
    source: int

    @property
    def span(self) -> slice:
        """Where its tokens come from."""
        return slice(self.source, self.source + self.end - self.begin)


@dataclass(frozen=True)
class Order:
    """The runs of a pass up to the target, which comes last.

    Attributes:
        shapes: rows and columns of pictures and target, after a 1 each.
        runs: of all text and pictures.
        shared: how many of them end with the last picture.
        target: number of the target's tokens.
    """

    shapes: list[tuple[int, int, int]]
    runs: tuple[Run, ...]
    shared: int
    target: int

    @classmethod
    def of(cls, text: Text, pictures: Sequence[Tensor], target: Tensor) -> Order:
        shapes = [(1, latents.shape[-2], latents.shape[-1]) for latents in (*pictures, target)]
        *counts, own = (rows * columns for _, rows, columns in shapes)
        return cls.among(places_of(text).tolist(), counts, shapes, own)

    @classmethod
    def among(
        cls,
        places: Sequence[bool],
        counts: Sequence[int],
        shapes: Sequence[tuple[int, int, int]] = (),
        target: int = 0,
    ) -> Order:
        """From which tokens are pictures' and how many tokens each picture has in the pass."""
        runs = tuple(_find_runs(places, counts))
        last = max((number for number, run in enumerate(runs) if not run.is_text), default=-1)
        return cls(list(shapes), runs, last + 1, target)

    @property
    def pictures(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.is_text)

    @property
    def prefix(self) -> int:
        """Tokens up to the end of the last picture."""
        return self.runs[self.shared - 1].end if self.shared else 0

    @property
    def length(self) -> int:
        """Tokens before the target."""
        return self.runs[-1].end if self.runs else 0

    @property
    def segments(self) -> list[tuple[int, int, bool]]:
        """All runs as the transformer's attention takes them: beginning, end, whether text."""
        return [(run.begin, run.end, run.is_text) for run in self.runs]

    def embed(self, model: Any, text: Text, pictures: Tensor, runs: Sequence[Run]) -> list[Tensor]:
        """Embedded tokens of these runs; `pictures` are those of all, embedded."""
        return [
            model.txt_in(text.tokens[:, run.span]) if run.is_text else pictures[:, run.span]
            for run in runs
        ]

    def rotate(self, model: Any, device: torch.device) -> Tensor:
        """The rotary table of the whole pass, `(tokens, width / 2)`, complex.

        It is made on the CPU: which tokens are pictures is looked at there.
        """
        is_picture = torch.ones(self.length + self.target, dtype=torch.bool)
        for run in self.runs:
            is_picture[run.begin : run.end] = not run.is_text
        table: Tensor = model.pos_embed(self.shapes, is_picture, device=torch.device("cpu"))
        return table.to(device)


def _find_runs(places: Sequence[bool], counts: Sequence[int]) -> Iterator[Run]:
    """Text and pictures in turn.

    Between two pictures there is text, as the pipeline writes it. The language model may have seen
    a picture at another size: how many tokens it has in a pass is said by `counts`.
    """
    groups = [(is_picture, len(tuple(group))) for is_picture, group in groupby(places)]
    if sum(is_picture for is_picture, _ in groups) != len(counts):
        raise EditorError("an instruction was read with other pictures than the pass is given")
    wanted = iter(counts)
    at = source = given = 0
    for is_picture, length in groups:
        count = next(wanted) if is_picture else length
        yield Run(at, at + count, not is_picture, given if is_picture else source)
        at, source, given = at + count, source + length, given + count * is_picture
