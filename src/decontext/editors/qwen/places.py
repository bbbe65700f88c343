"""Where the pictures of Qwen-Image-2.1 lie in its text, and how many tokens they have there."""

from __future__ import annotations

import torch
from torch import Tensor

from decontext.editors.joint.engine import Text
from decontext.errors import EditorError

TOKENS_PER_PLACE = 4
"""Of the transformer, where the language model has one token of a picture."""


def places_of(text: Text) -> Tensor:
    """Which of the language model's tokens are a picture's, `(tokens,)`."""
    if text.places is None:
        raise EditorError("an instruction without the places of its pictures cannot be used")
    return text.places[0]


def token_counts(text: Text) -> Tensor:
    """How many tokens of the transformer stand where the language model had one."""
    return torch.where(places_of(text), TOKENS_PER_PLACE, 1)
