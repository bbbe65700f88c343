"""The context proportion, measured inside an editor's own attention.

On the way of the data this sits between the editor and the optimiser: an editor hands over one
denoising pass and the layout of its tokens, and gets back how much of the target queries'
attention falls on the photo's keys, block by block, differentiable in the photo.

For every wanted joint-attention call the probe calls the same attention function once more, with
the target queries only and, as values, an indicator that is one on context keys. What comes back
*is* the context proportion, so no matrix of queries by keys is ever stored, and masks, scales and
fused kernels are honoured for free.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from decontext.errors import AttentionError, InputError

PAPER_SHARE = Fraction(26, 38)
"""Part of the single blocks that the paper optimises over: 0 to 25 of FLUX's 38."""

_attention = torch.nn.functional.scaled_dot_product_attention
_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


@dataclass(frozen=True)
class SequenceLayout:
    """Where the tokens of one pass lie: text, then target, then context.

    `text`, `target` and `context` are numbers of tokens, taken from the tensors of this very pass.
    `photo_text` are text tokens that stand for the photo and are to count as context.

    Raises:
        AttentionError: there are no target or no context tokens.
    """

    text: int
    target: int
    context: int
    photo_text: range = range(0)

    def __post_init__(self) -> None:
        if self.text < 0 or self.target < 1 or self.context < 1:
            raise AttentionError(
                f"a sequence of {self.text} text, {self.target} target and {self.context} context "
                "tokens has no attention from target to context; both need at least one token"
            )

    @property
    def query_length(self) -> int:
        """Number of query tokens of a joint-attention call."""
        return self.text + self.target + self.context

    @property
    def key_length(self) -> int:
        """Number of key tokens of a joint-attention call."""
        return self.text + self.target + self.context

    @property
    def target_slice(self) -> slice:
        """The image being generated, along the token axis."""
        return slice(self.text, self.text + self.target)

    @property
    def context_slice(self) -> slice:
        """The photo given to the editor, along the token axis."""
        return slice(self.text + self.target, self.key_length)


Quantity = Callable[[dict[str, Any], SequenceLayout], Tensor]
"""From a joint-attention call's arguments, by name, and its layout to a float32 scalar."""


def measure(call: Callable[[], object], layout: SequenceLayout, blocks: Sequence[int]) -> Tensor:
    """Run one denoising pass and return the context proportion of each wanted block.

    `call` runs the transformer and nothing else; its result is dropped, and it is left as soon as
    the last wanted block has been measured. `blocks` counts joint-attention calls in their order,
    double blocks first (see `resolve_blocks`). A transformer with gradient checkpointing must use
    `checkpointed` for it.

    Returns float32 of shape `(len(blocks),)` in [0, 1]: means over batch, heads and target
    queries, in the order of `blocks`.

    Raises:
        AttentionError: fewer joint-attention calls were seen than wanted.
    Source: arXiv 2512.16625, eq. 8, per block; the objective averages over blocks.
    Differs from the original code: that stores the whole softmax matrix and runs all blocks.
    """
    if not blocks:
        raise AttentionError("no block to measure was named; at least one is needed")
    with _Probe(layout, frozenset(blocks), _quantity.get()) as probe:
        try:
            call()
        except _PassEnded:
            pass
    missing = [block for block in blocks if block not in probe.proportions]
    if missing:
        raise AttentionError(
            f"saw {probe.seen} joint-attention calls over {layout.key_length} tokens, but blocks "
            f"{', '.join(map(str, missing))} were wanted",
            "use the native attention backend and this editor's own token counts",
        )
    return torch.stack([probe.proportions[block] for block in blocks])


@contextmanager
def measuring(quantity: Quantity) -> Iterator[None]:
    """Within it `measure`, and so every editor's `attend`, returns this instead of the proportion.

    It is for other objectives and for analyses: an editor need not know of them.
    """
    token = _quantity.set(quantity)
    try:
        yield
    finally:
        _quantity.reset(token)


def checkpointed(block: Callable[..., Any], *args: Any) -> Any:
    """Run a transformer block under gradient checkpointing in a way that the probe survives.

    Pass it to `enable_gradient_checkpointing(gradient_checkpointing_func=checkpointed)`. Without
    a probe it is ordinary checkpointing. With one, the interception is entered inside the
    checkpointed function, so that it is also there when the block is run again in the backward
    pass, and the proportions leave it as outputs beside the block's own.
    """
    probe = _armed.get()
    if probe is None:
        return checkpoint(block, *args, use_reentrant=False, preserve_rng_state=False)
    first, layout, wanted, quantity = probe.seen, probe.layout, probe.wanted, probe.quantity
    forward_only: list[tuple[int, tuple[int, ...], bool]] = []

    def run(*inputs: Any) -> tuple[Any, ...]:
        outputs, ended = None, False
        with _Probe(layout, wanted, quantity, seen=first) as inner:
            try:
                outputs = block(*inputs)
            except _PassEnded:
                ended = True
        forward_only.append((inner.seen, tuple(inner.proportions), ended))
        return (outputs, *inner.proportions.values())

    outputs, *proportions = checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False)
    probe.seen, measured, ended = forward_only[0]
    probe.proportions.update(zip(measured, proportions, strict=True))
    if ended:
        raise _PassEnded
    return outputs


def resolve_blocks(names: str | Sequence[str], double: int, single: int) -> tuple[int, ...]:
    """Turn block names into the numbers of joint-attention calls, sorted and without repeats.

    `names` is one of, or several (comma separated or a sequence) of: `all`, `paper` (single blocks
    in the paper's proportion: 0 to 25 of 38), `double`, `single`, `double:3`, `single:0-25` (both
    ends included). `double` and `single` count the blocks that the editor has.

    Raises:
        InputError: a name is not understood or the editor has no such block.
    """
    parts = names.split(",") if isinstance(names, str) else [p for n in names for p in n.split(",")]
    blocks: set[int] = set()
    for part in parts:
        blocks.update(_resolve_name(part.strip(), double, single))
    if not blocks:
        raise InputError("no blocks are left to measure", _existing_blocks(double, single))
    return tuple(sorted(blocks))


def _resolve_name(name: str, double: int, single: int) -> range:
    if name == "all":
        return range(double + single)
    if name == "paper":
        return range(double, double + -int(-single * PAPER_SHARE // 1))
    match = re.fullmatch(r"(double|single)(?::(\d+)(?:-(\d+))?)?", name)
    if match is None:
        raise InputError(f"no blocks are named {name!r}", _existing_blocks(double, single))
    kind, first, last = match.groups()
    offset, count = (0, double) if kind == "double" else (double, single)
    start = int(first or 0)
    stop = count if first is None else int(last or first) + 1
    if start >= stop or stop > count:
        raise InputError(f"no blocks are named {name!r}", _existing_blocks(double, single))
    return range(offset + start, offset + stop)


def _existing_blocks(double: int, single: int) -> str:
    kinds = [
        f"{kind}:0-{count - 1}" for kind, count in (("double", double), ("single", single)) if count
    ]
    return f"this editor has {' and '.join(kinds)}; 'all' and 'paper' also work"


class _PassEnded(BaseException):
    """Leaves the pass after the last wanted block; no `except Exception` on the way holds it."""


class _Probe(TorchFunctionMode):
    """Sees every attention call of its thread, counts the joint ones, measures the wanted ones.

    `seen` is the number of joint calls so far; it starts above zero inside a checkpointed block.
    Of nested probes only the innermost acts. Nothing global is replaced, so nothing is left behind.
    """

    def __init__(
        self,
        layout: SequenceLayout,
        wanted: frozenset[int],
        quantity: Quantity,
        *,
        seen: int = 0,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.wanted = wanted
        self.quantity = quantity
        self.seen = seen
        self.proportions: dict[int, Tensor] = {}
        self._token: Token[_Probe | None] | None = None

    def __enter__(self) -> _Probe:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._token = _armed.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._token is not None:
            _armed.reset(self._token)
        super().__exit__(*exception)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _attention and _armed.get() is self:
            self._observe(dict(zip(_ARGUMENTS, args, strict=False)) | kwargs)
        return func(*args, **kwargs)

    def _observe(self, call: dict[str, Any]) -> None:
        lengths = (call["query"].shape[-2], call["key"].shape[-2])
        if lengths != (self.layout.query_length, self.layout.key_length):
            return
        block = self.seen
        self.seen += 1
        if block in self.wanted:
            self.proportions[block] = self.quantity(call, self.layout)
        if self.seen > max(self.wanted):
            raise _PassEnded


_armed: ContextVar[_Probe | None] = ContextVar("decontext_probe", default=None)


def _context_proportion(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
    """Part of the target queries' attention that falls on context keys, a float32 scalar."""
    query, key, value = call["query"], call["key"], call["value"]
    # The indicator is as wide as a head: kernels that store no matrix want equal widths.
    indicator = key.new_zeros((layout.key_length, key.shape[-1]), dtype=value.dtype)
    indicator[layout.context_slice] = 1
    indicator[list(layout.photo_text)] = 1
    attended = _attention(
        query[..., layout.target_slice, :],
        key,
        indicator.expand_as(key),
        attn_mask=_target_mask(call, layout),
        scale=call.get("scale"),
        enable_gqa=call.get("enable_gqa", False),
    )
    return attended[..., 0].float().mean()


def _target_mask(call: dict[str, Any], layout: SequenceLayout) -> Tensor | None:
    """The rows of the call's attention mask that belong to target queries."""
    mask: Tensor | None = call.get("attn_mask")
    if call.get("is_causal"):
        size = (layout.query_length, layout.key_length)
        mask = torch.ones(size, dtype=torch.bool, device=call["query"].device).tril()
    if mask is None or mask.shape[-2] == 1:
        return mask
    return mask[..., layout.target_slice, :]


_quantity: ContextVar[Quantity] = ContextVar("decontext_quantity", default=_context_proportion)
