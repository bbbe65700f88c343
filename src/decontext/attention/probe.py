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

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from decontext.attention.layout import SequenceLayout, attention, name_arguments
from decontext.errors import AttentionError

Quantity = Callable[[dict[str, Any], SequenceLayout], Tensor]
"""From a joint-attention call's arguments, by name, and its layout to a float32 scalar."""


def measure(call: Callable[[], object], layout: SequenceLayout, blocks: Sequence[int]) -> Tensor:
    """Run one denoising pass and return the context proportion of each wanted block.

    `call` runs the transformer and nothing else; its result is dropped, and it is left as soon as
    the last wanted block has been measured. `blocks` counts joint-attention calls in their order,
    double blocks first (see `blocks.resolve_blocks`). A transformer with gradient checkpointing
    must use `checkpointed` for it.

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
        if func is attention and _armed.get() is self:
            self._observe(name_arguments(args, kwargs))
        return func(*args, **kwargs)

    def _observe(self, call: dict[str, Any]) -> None:
        if not self.layout.is_joint(call):
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
    attended = attention(
        query[..., layout.target_slice, :],
        key,
        indicator.expand_as(key),
        attn_mask=_target_mask(call, layout),
        scale=call.get("scale"),
        enable_gqa=call.get("enable_gqa", False),
    )
    attended = attended[..., 0]
    return attended.to(torch.promote_types(attended.dtype, torch.float32)).mean()


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
