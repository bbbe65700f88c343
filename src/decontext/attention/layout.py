"""Where the tokens of one pass lie, and the arguments of an attention call by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from decontext.errors import AttentionError

attention = torch.nn.functional.scaled_dot_product_attention
"""The function that every block of every editor calls, as torch has it."""

_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def name_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call of `attention`, by name."""
    return dict(zip(_ARGUMENTS, args, strict=False)) | kwargs


@dataclass(frozen=True)
class SequenceLayout:
    """Where the tokens of one pass lie: text, then target, then context.

    `text`, `target` and `context` are numbers of tokens, taken from the tensors of this very pass.
    `photo_text` are text tokens that stand for the photo and are to count as context. Where an
    editor is given several pictures, `before` and `after` are the tokens of those that come before
    the photo and after it: they are no context.

    Raises:
        AttentionError: there are no target or no context tokens.
    """

    text: int
    target: int
    context: int
    photo_text: range = range(0)
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if self.text < 0 or self.target < 1 or self.context < 1:
            raise AttentionError(
                f"a sequence of {self.text} text, {self.target} target and {self.context} context "
                "tokens has no attention from target to context; both need at least one token"
            )

    @property
    def query_length(self) -> int:
        """Number of query tokens of a joint-attention call."""
        return self.text + self.target + self.before + self.context + self.after

    @property
    def key_length(self) -> int:
        """Number of key tokens of a joint-attention call."""
        return self.query_length

    @property
    def target_slice(self) -> slice:
        """The image being generated, among the queries."""
        return slice(self.text, self.text + self.target)

    @property
    def context_slice(self) -> slice:
        """The photo given to the editor, among the keys."""
        start = self.text + self.target + self.before
        return slice(start, start + self.context)

    @property
    def context_sees_target(self) -> bool:
        """Whether the photo's queries are in such a call, too."""
        return True

    def is_joint(self, call: dict[str, Any]) -> bool:
        """Whether an attention call goes over exactly these tokens."""
        lengths = (call["query"].shape[-2], call["key"].shape[-2])
        return lengths == (self.query_length, self.key_length)


@dataclass(frozen=True)
class CausalLayout(SequenceLayout):
    """Where the target comes last and sees everything before it, which does not see the target.

    Its queries are in a call of their own, or come after those of the last `words` of the text.
    Text and pictures lie between each other; the photo's keys begin at `start`.
    """

    start: int = 0
    words: int = 0

    @property
    def query_length(self) -> int:
        return self.words + self.target

    @property
    def key_length(self) -> int:
        return super().query_length

    @property
    def target_slice(self) -> slice:
        return slice(self.words, self.words + self.target)

    @property
    def context_slice(self) -> slice:
        return slice(self.start, self.start + self.context)

    @property
    def context_sees_target(self) -> bool:
        return False
