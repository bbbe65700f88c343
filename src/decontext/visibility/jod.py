"""ColorVideoVDP, where it is installed: how visible a change is in just-objectionable differences.

Of torchvision it needs a blur alone. The torchvision that `pip install cvvdp` brings is made for a
GPU's torch, and beside another torch it cannot be imported, and diffusers neither; so it may be
removed again, and a blur of our own stands in for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from decontext.photo.images import to_array

PACKAGE, NEEDED = "pycvvdp", "torchvision"


def jod(original: Tensor, protected: Tensor) -> float | None:
    """JOD of two pictures, at most 10, at a desk of 30 inches and 4K pixels.

    None where the package is not installed.
    """
    if find_spec(PACKAGE) is None:
        return None
    arrays = (to_array(picture) for picture in (protected, original))
    with torch.no_grad():
        return float(_load().predict(*arrays, dim_order="HWC")[0])


class Blur(torch.nn.Module):
    """Gaussian of `size` pixels a side, the border mirrored; as torchvision's GaussianBlur."""

    def __init__(self, size: int, sigma: float) -> None:
        super().__init__()
        places = torch.arange(size) - (size - 1) / 2
        weights = torch.exp(-0.5 * (places / sigma) ** 2)
        self._weights = weights / weights.sum()

    def forward(self, picture: Tensor) -> Tensor:
        planes = picture.reshape(-1, 1, *picture.shape[-2:])
        planes = functional.pad(planes, (len(self._weights) // 2,) * 4, mode="reflect")
        planes = functional.conv2d(planes, self._weights.view(1, 1, 1, -1))
        return functional.conv2d(planes, self._weights.view(1, 1, -1, 1)).reshape(picture.shape)


@lru_cache(maxsize=1)
def _load() -> Any:
    with _stand_in():
        import pycvvdp
    return pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu"), quiet=True)


@contextmanager
def _stand_in() -> Iterator[None]:
    """While the package is imported, what it takes from torchvision, where that is not there."""
    if find_spec(NEEDED) is not None:
        yield
        return
    modules = {name: ModuleType(name) for name in (NEEDED, f"{NEEDED}.transforms", f"{NEEDED}.ops")}
    modules[f"{NEEDED}.transforms"].GaussianBlur = Blur  # type: ignore[attr-defined]
    modules[f"{NEEDED}.ops"].MLP = object  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
