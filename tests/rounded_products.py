"""bfloat16 matrix products at the speed of float32, for processors without bfloat16 arithmetic.

Such a processor emulates them some hundred times slower. A bfloat16 product adds up in float32 and
rounds the result; so does this: operands up, product in float32, result down. The fused attention
is treated alike: more exact than a kernel that rounds its probabilities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

_aten = torch.ops.aten
_attention = _aten._scaled_dot_product_flash_attention_for_cpu
_attention_backward = _aten._scaled_dot_product_flash_attention_for_cpu_backward
PRODUCTS = {
    operation.default
    for operation in (
        _aten.mm,
        _aten.addmm,
        _aten.bmm,
        _aten.baddbmm,
        _aten.linear,
        _attention,
        _attention_backward,
    )
}


class RoundedProducts(TorchDispatchMode):
    """Within it every bfloat16 matrix product, forward and backward, is made in float32."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rough = any(isinstance(a, Tensor) and a.dtype == torch.bfloat16 for a in args)
        if func not in PRODUCTS or not rough:
            return func(*args, **kwargs)
        args, kwargs = tree_map(_widen, (args, kwargs))
        result = func(*args, **kwargs)
        if func is _attention.default:  # the second is the logarithm of the sums, never rounded
            return result[0].bfloat16(), result[1]
        return tree_map(Tensor.bfloat16, result)


def _widen(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
