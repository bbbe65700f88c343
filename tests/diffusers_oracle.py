"""What diffusers' own pipelines do, to compare an editor with: their calls, watched.

`watch_edit` runs a pipeline for one step from given latents and keeps every call of its
transformer, arguments and result, so that an editor's own pass can be held against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from decontext.attention.layout import attention

NOT_COMPARED = {
    "return_dict",
    "joint_attention_kwargs",
    "attention_kwargs",
    "kv_cache",  # as long as it is empty, it changes nothing
    "kv_cache_mode",
}


class Calls(list):
    """Keyword arguments and first output of every call of a transformer."""

    @contextmanager
    def watching(self, model: Any):
        original = model.forward

        def forward(*args: Any, **options: Any) -> Any:
            output = original(*args, **options)
            self.append((options, output[0]))
            return output

        model.forward = forward
        try:
            yield self
        finally:
            del model.forward


def same_inputs(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float = 1e-5) -> None:
    """Tokens and their order, positions, masks and times of two calls of a transformer."""
    for name in (set(ours) | set(theirs)) - NOT_COMPARED:
        mine, other = ours.get(name), theirs.get(name)
        if isinstance(other, Tensor) and isinstance(mine, Tensor):
            # A batch of one may have been left out of positions.
            rows = [v.double().reshape(-1, v.shape[-1] if v.ndim else 1) for v in (mine, other)]
            assert torch.allclose(*rows, atol=tolerance, rtol=0), name
        else:
            assert mine == other, (name, mine, other)


def explicit_proportion(
    run: Callable[[], object], queries: slice, keys: slice, length: int
) -> list[Tensor]:
    """The part of the queries' attention on the keys in every joint call, by a softmax."""
    found: list[Tensor] = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if func is attention:
                names = ("query", "key", "value", "attn_mask")
                call = dict(zip(names, args, strict=False)) | kwargs
                query, key = call["query"], call["key"]
                if key.shape[-2] == length:
                    scale = call.get("scale") or 1 / math.sqrt(query.shape[-1])
                    scores = query @ key.transpose(-1, -2) * scale
                    mask = call.get("attn_mask")
                    if mask is not None:
                        scores = scores.masked_fill(~mask, -math.inf)
                    found.append(scores.softmax(-1)[..., queries, keys].sum(-1).mean())
            return func(*args, **kwargs)

    with Watch(), torch.no_grad():
        run()
    return found


def finite_difference(
    function: Callable[[Tensor], Tensor], image: Tensor, direction: Tensor, step: float = 1e-3
) -> Tensor:
    """The slope of a function along a direction, of fourth order, in float64.

    No smaller step: diffusers turns queries and keys by their positions in float32 always.
    """

    def between(length: float) -> Tensor:
        return function(image + length * direction) - function(image - length * direction)

    with torch.no_grad():
        return (8 * between(step) - between(2 * step)) / (12 * step)


class Exact(torch.overrides.TorchFunctionMode):
    """Within it, what is float64 stays so, where libraries go down to float32 on the way."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (Tensor.float, Tensor.to, Tensor.type) and args[0].dtype == torch.float64:
            if func is Tensor.float:
                return args[0]
            if torch.float32 in (*args[1:], kwargs.get("dtype")):
                return args[0]
        return func(*args, **kwargs)
