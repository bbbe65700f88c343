"""Parts of an editor without their weights: of published sizes, nothing is read.

On the meta device an editor that is built from them runs through all of its own code, and computes
nothing; `trace` counts what that would take. Plans count the meta device as one beside the CPU, as
a GPU is. On any other device its weights are random: `benchmarks.gpu` measures with those.
"""

from __future__ import annotations

import zlib
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
NARROW = (32, 32, 64, 64)
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
        small: whether it has two heads and a narrow autoencoder, to try things with.
        device: where it is; "meta" for no numbers at all.
    """

    precision: str = "bfloat16"
    stream: bool = False
    checkpointing: bool = True
    depth: tuple[int, int] | None = None
    small: bool = False
    device: torch.device = META

    def describe(self) -> str:
        """In words."""
        return (
            f"{self.precision}{', streamed' if self.stream else ''}, activations "
            f"{'computed twice' if self.checkpointing else 'kept'}"
        )

    def shorten(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A transformer's configuration with as many blocks as wanted, or a small one."""
        kinds = ("num_layers", "num_single_layers")
        heads = {"num_attention_heads": 2} if self.small else {}
        return dict(config) | dict(zip(kinds, self.depth or (), strict=False)) | heads


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


class RandomNumbers(SizesAlone):
    """The same with random numbers, always the same ones, scaled so that they pass through."""

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        shape = self._shapes[name]
        stored = torch.zeros(shape, dtype=STORED)
        if len(shape) > 1:
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            stored.normal_(std=shape[-1] ** -0.5, generator=generator)
        elif name.endswith("weight"):
            stored.fill_(1)
        return stored if rows is None else stored[rows]


class NoText:
    """In the place of text encoders: encoded instructions of these shapes.

    They hold nothing on the meta device, and elsewhere random numbers.
    """

    def __init__(self, held: Held, **shapes: tuple[int, ...]) -> None:
        self._shapes, self._device = shapes, held.device
        self.length = next(iter(shapes.values()))[1]

    def encode(self, text: str) -> dict[str, Tensor]:
        if self._device.type == "meta":
            shapes = self._shapes.items()
            return {name: torch.empty(shape, dtype=STORED, device=META) for name, shape in shapes}
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))

        def draw(*shape: int) -> Tensor:
            # Sums of one number for the token and one for the place: few to draw, no two alike.
            tokens = torch.randn((*shape[:-1], 1), generator=generator)
            return (tokens + torch.randn(shape[-1], generator=generator)).to(STORED)

        return {name: draw(*shape) for name, shape in self._shapes.items()}

    def prepare(self, texts: Iterable[str]) -> None:
        del texts


def empty_transformer(
    editor: str,
    build: Callable[[Mapping[str, Any]], Any],
    config: Mapping[str, Any],
    held: Held,
) -> LoadedTransformer:
    """A transformer that is loaded as ever, from files without numbers or with random ones."""
    config = held.shorten(config)
    files = SizesAlone if held.device.type == "meta" else RandomNumbers
    return LoadedTransformer(
        config,
        files(build(config)),
        editor=editor,
        device=held.device,
        precision=held.precision,
        stream=held.stream,
        checkpointing=held.checkpointing,
        build=build,
    )


def empty_part(name: str, config: dict[str, Any], held: Held) -> Any:
    """diffusers' class of this name, such as an autoencoder."""
    import diffusers

    kind: Any = getattr(diffusers, name)
    channels = {"block_out_channels": NARROW} if held.small else {}
    return fill_part(lambda: kind(**config | channels), held)


def fill_part(build: Callable[[], Any], held: Held) -> Any:
    """A module as it is at the beginning of a training, on the device; on meta nothing is in it."""
    if held.device.type == "meta":
        return build_empty(build)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().requires_grad_(False).eval().to(held.device)
