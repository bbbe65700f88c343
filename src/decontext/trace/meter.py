"""What a piece of work takes, counted operation by operation on torch's meta device.

On that device tensors have sizes and no memory: an editor of any size runs through its own code,
and nothing is computed. Every operation is seen here, in the passes, on the way back and in blocks
that are run again.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from decontext.errors import TraceError

META = torch.device("meta")
ACROSS = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
"""What may bring numbers from one device to another."""


class Meter(TorchDispatchMode):
    """Counts floating-point operations, by torch's own counter, and bytes of live storage.

    Storage counts from the operation that makes it until nobody holds it any more; that is what an
    allocator without fragmentation would hand out. What a kernel needs for itself is not counted.

    Attributes:
        flop: floating-point operations so far.
        live, peak: bytes that are held, and that were held at most since `restart`.

    Raises:
        TraceError: an operation was given tensors of two devices.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = self.live = self.peak = 0
        self._seen: dict[int, weakref.ref[Any]] = {}

    def restart(self) -> None:
        """Count operations from zero, and the peak from what is held now."""
        self.flop, self.peak = 0, self.live

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count what was there before, such as weights."""
        for tensor in tensors:
            self._hold(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        _require_one_device(func, given)
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if any(tensor.is_meta for tensor in made):
            count = flop_registry.get(func._overloadpacket)
            if count is not None:
                self.flop += count(*args, **kwargs, out_val=result)
        # What is only looked at, such as weights that are there but not read, is not made here.
        known = {id(tensor.untyped_storage()) for tensor in given if tensor.is_meta}
        for tensor in made:
            if tensor.is_meta and id(tensor.untyped_storage()) not in known:
                self._hold(tensor)
        return result

    def _hold(self, tensor: Tensor) -> None:
        if not tensor.is_meta:
            return
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._seen:
            return

        def forget(_: object) -> None:
            self.live -= size
            self._seen.pop(key, None)

        self._seen[key] = weakref.ref(storage, forget)
        self.live += size
        self.peak = max(self.peak, self.live)


def _require_one_device(func: Any, tensors: list[Tensor]) -> None:
    """Raises: TraceError, tensors of two devices meet; single numbers may come from anywhere."""
    devices = {tensor.device.type for tensor in tensors if tensor.dim()}
    if len(devices) > 1 and func not in ACROSS:
        raise TraceError(
            f"{func} was given tensors of {' and '.join(sorted(devices))}",
            "this is a mistake in the editor's code; please report it",
        )
