"""Parts of an editor without their weights: of published sizes, on the meta device, nothing read.

An editor that is built from them runs through all of its own code, and computes nothing; `trace`
counts what that would take. Plans count the meta device as one beside the CPU, as a GPU is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.editors.weights.blocks import build_empty
from decontext.editors.weights.shards import WeightFiles
from decontext.editors.weights.transformer import LoadedTransformer

META = torch.device("meta")
STORED = torch.bfloat16
"""How published weights lie in their files."""


@dataclass(frozen=True)
class Held:
    """How an editor without weights would hold them.

    Attributes:
        precision: one of `plan.WEIGHT_BYTES`.
        stream: whether blocks come to the device one by one.
        checkpointing: whether activations are computed twice.
        depth: numbers of double and single blocks, by default those of the published model.
    """

    precision: str = "bfloat16"
    stream: bool = False
    checkpointing: bool = True
    depth: tuple[int, int] | None = None

    def describe(self) -> str:
        """In words."""
        return (
            f"{self.precision}{', streamed' if self.stream else ''}, activations "
            f"{'computed twice' if self.checkpointing else 'kept'}"
        )

    def shorten(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A transformer's configuration with as many blocks as wanted."""
        kinds = ("num_layers", "num_single_layers")
        return dict(config) | dict(zip(kinds, self.depth or (), strict=False))


class SizesAlone(WeightFiles):
    """What a model's files would hold: of each tensor the shape, and no numbers."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
        super().__init__("transformer", Path(), dict.fromkeys(self._shapes, ""), lambda _: None)

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        stored = torch.empty(self._shapes[name], dtype=STORED, device=META)
        return stored if rows is None else stored[rows]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def check_files(self) -> None:
        pass


class NoText:
    """In the place of text encoders: encoded instructions of these shapes, and nothing in them."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self._shapes = shapes
        self.length = next(iter(shapes.values()))[1]

    def encode(self, text: str) -> dict[str, Tensor]:
        del text
        return {
            name: torch.empty(shape, dtype=STORED, device=META)
            for name, shape in self._shapes.items()
        }

    def prepare(self, texts: Iterable[str]) -> None:
        del texts


def empty_transformer(
    editor: str,
    build: Callable[[Mapping[str, Any]], Any],
    config: Mapping[str, Any],
    held: Held,
) -> LoadedTransformer:
    """A transformer that is loaded as ever, from files without numbers."""
    config = held.shorten(config)
    return LoadedTransformer(
        config,
        SizesAlone(build(config)),
        editor=editor,
        device=META,
        precision=held.precision,
        stream=held.stream,
        checkpointing=held.checkpointing,
        build=build,
    )


def empty_part(name: str, config: Mapping[str, Any]) -> Any:
    """diffusers' class of this name, such as an autoencoder."""
    import diffusers

    kind: Any = getattr(diffusers, name)
    return build_empty(lambda: kind(**config))
