"""A stand-in for fused attention on torch's meta device.

There torch has plain attention only, which holds a matrix of queries by keys that no fused kernel
holds. Here every call becomes one of torch's own fused operations: of these torch knows what they
give, what they keep for the way back, and their floating-point operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

FLASH_WIDTH = 256
"""Widest head that the kernels without a mask take."""


@contextmanager
def fused_attention() -> Iterator[None]:
    """Within it attention on the meta device is fused, of whichever thread; elsewhere as ever.

    It is torch's own dispatcher that is told, since blocks that are run again in a backward pass
    see no mode of the function that began it.
    """
    library: Any = torch.library.Library("aten", "IMPL", "AutogradMeta")  # type: ignore[no-untyped-call]
    library.impl("scaled_dot_product_attention", _attend)
    try:
        yield
    finally:
        library._destroy()


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """As torch's, by a fused operation; `(..., heads, tokens, width)`."""
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (part.repeat_interleave(repeats, dim=-3) for part in (key, value))
    if query.dim() == 3:
        query, key, value = (part.unsqueeze(0) for part in (query, key, value))
        return _attend(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)[0]
    if attn_mask is None and query.shape[-1] <= FLASH_WIDTH:
        flash: Any = torch.ops.aten._scaled_dot_product_flash_attention
        results = flash(query, key, value, dropout_p, is_causal, scale=scale)
    else:
        if attn_mask is not None:
            dtype = query.dtype if attn_mask.dtype == torch.bool else attn_mask.dtype
            attn_mask = attn_mask.to(dtype).expand((*query.shape[:-1], key.shape[-2]))
        efficient: Any = torch.ops.aten._scaled_dot_product_efficient_attention
        kept = torch.is_grad_enabled()
        results = efficient(query, key, value, attn_mask, kept, dropout_p, is_causal, scale=scale)
    attended: Tensor = results[0]
    return attended
