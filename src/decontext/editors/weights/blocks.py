"""A transformer whose blocks come from disk when a pass first needs them, and how they are held.

The transformer is built on torch's meta device, without memory. Blocks up to the last wanted one
are then filled: in the precision they are computed with, quantised, or not at all: streamed
blocks stay where they are (the file, or pinned memory beside a GPU) and are read to the device for
as long as they run. What comes after the last wanted block is never read.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from decontext.editors.weights.plan import (
    CAUSAL,
    GATED,
    PLAIN,
    QUANTISED,
    QWEN,
    TWO_TIMES,
    Dimensions,
    Kept,
)
from decontext.editors.weights.quantised import QuantisedLinear
from decontext.editors.weights.shards import WeightFiles
from decontext.errors import EditorError

BLOCKS = ("transformer_blocks", "single_transformer_blocks")
HEAD = ("norm_out", "proj_out")
ENTRY = re.compile(r"to_[qkv]$|add_[qkv]_proj$|to_qkv|proj_mlp$")
"""Layers of a block that come before its attention."""

"""As every diffusers transformer calls them; what else it has comes before the blocks."""


class StreamedBlock(nn.Module):
    """A block whose weights are copied to the device each time it runs, and forgotten afterwards.

    Under checkpointing it runs inside the checkpointed function, so that the backward pass fetches
    them again: one block's weights are on the device at a time, and the gradients are exact.
    While it runs its weights are exchanged for the fetched ones: one thread at a time.
    """

    def __init__(
        self,
        block: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        read: Callable[[str], Tensor],
    ) -> None:
        super().__init__()
        self._read = read
        # Hidden from torch's bookkeeping: whoever moves the model leaves the stored weights alone.
        self._hidden = (block,)
        self._device, self._dtype = device, dtype
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """What else a model asks of its block, such as how it attends, the block knows."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            (block,) = self.__dict__["_hidden"]
            return getattr(block, name)

    @property
    def block(self) -> nn.Module:
        """With its weights as they are stored."""
        return self._hidden[0]

    def forward(self, *arguments: Any, **options: Any) -> Any:
        block = self.block
        with self._lock:
            weights = {name: self._fetch(name, tensor) for name, tensor in _tensors(block)}
            return functional_call(block, weights, arguments, options)

    def _fetch(self, name: str, stored: Tensor) -> Tensor:
        if stored.is_meta:
            stored = self._read(name)
        # Packed numbers keep their type; ordinary ones get that of the computation.
        dtype = self._dtype if _is_ordinary(stored) else stored.dtype
        return stored.to(self._device, dtype, non_blocking=stored.is_pinned())


class BlockLoader:
    """Fills a transformer that was built on the meta device, part by part.

    `precision` is "float32", "bfloat16" or one of the quantised ones; `dtype` is what it computes
    with. `pin` keeps streamed weights in pinned memory.

    Raises:
        EditorError: a weight that the configuration asks for is in no file, or has another shape.
    """

    def __init__(
        self,
        transformer: Any,
        files: WeightFiles,
        *,
        device: torch.device,
        dtype: torch.dtype,
        precision: str,
        stream: bool,
        pin: bool = False,
    ) -> None:
        self._transformer = transformer
        self._files = files
        self._device, self._dtype = device, dtype
        self._precision, self._stream, self._pin = precision, stream, pin
        self._filled: set[str] = set()

    def load_blocks(self, count: int) -> None:
        """Fill the embedders and the first `count` blocks, double ones first."""
        embedders = find_embedders(self._transformer)
        names = [*embedders, *(name for name, _ in self._blocks(count))]
        self._files.require(self._wanted(names))
        for name in embedders:
            self._fill_plain(name)
        for name, index in self._blocks(count):
            if name not in self._filled:
                self._fill_block(name, index)
                self._filled.add(name)

    def load_everything(self) -> None:
        """Fill all blocks and what comes after them, for a whole pass."""
        self._files.require(self._wanted(HEAD))
        self.load_blocks(sum(count_blocks(self._transformer)))
        for name in HEAD:
            self._fill_plain(name)

    def _blocks(self, count: int) -> Iterator[tuple[str, int]]:
        double, _ = count_blocks(self._transformer)
        for number in range(count):
            if number < double:
                yield f"transformer_blocks.{number}", number
            else:
                yield f"single_transformer_blocks.{number - double}", number - double

    def _wanted(self, modules: Any) -> list[str]:
        """Names of the tensors of these modules, those already filled left out."""
        return [
            f"{module}.{name}"
            for module in modules
            if module not in self._filled
            for name, _ in _tensors(self._transformer.get_submodule(module))
        ]

    def forget(self) -> None:
        """Be as before anything was filled; what is needed again is read again."""
        for name in self._filled:
            parent, _, leaf = name.rpartition(".")
            module = self._transformer.get_submodule(name)
            if isinstance(module, StreamedBlock):
                module = module.block
                self._transformer.get_submodule(parent)._modules[leaf] = module
            _empty(module)
        self._filled.clear()

    def _fill_plain(self, name: str) -> None:
        if name in self._filled:
            return
        module = self._transformer.get_submodule(name)
        _fill(module, lambda key, like: self._read(f"{name}.{key}", like, self._device))
        self._filled.add(name)

    def _fill_block(self, name: str, index: int) -> None:
        kind, _, _ = name.partition(".")
        blocks = getattr(self._transformer, kind)
        block = blocks[index]
        place = torch.device("cpu") if self._stream else self._device
        quantised = self._precision in QUANTISED
        if quantised:
            self._quantise(block, name, place)
        if self._stream and not quantised and not self._pin:
            for key, tensor in _tensors(block):
                self._check(f"{name}.{key}", tensor)
        else:
            keep = self._stream and not quantised
            _fill(block, lambda key, like: self._read(f"{name}.{key}", like, place, keep=keep))
        if self._stream:
            if self._pin:
                _replace(block, Tensor.pin_memory)
            blocks[index] = StreamedBlock(
                block, self._device, self._dtype, lambda key: self._read_ordinary(f"{name}.{key}")
            )

    def _quantise(self, block: nn.Module, prefix: str, place: torch.device) -> None:
        """Put quantised layers in the place of the linear ones, one at a time."""
        for path, layer in list(block.named_modules()):
            if not isinstance(layer, nn.Linear):
                continue
            name = f"{prefix}.{path}"
            weight = self._read(f"{name}.weight", layer.weight, self._device)
            bias = None
            if layer.bias is not None:
                bias = self._read(f"{name}.bias", layer.bias, place)
            packed = QuantisedLinear(weight, bias, precision=self._precision, dtype=self._dtype).to(
                place
            )
            parent, _, leaf = path.rpartition(".")
            block.get_submodule(parent)._modules[leaf] = packed

    def _read(self, name: str, like: Tensor, place: torch.device, *, keep: bool = False) -> Tensor:
        """One weight, checked and brought where it is to be; `keep` leaves it as it is stored."""
        self._check(name, like)
        stored = self._files.read(name)
        return stored if keep and _is_ordinary(stored) else stored.to(place, self._dtype)

    def _read_ordinary(self, name: str) -> Tensor:
        stored = self._files.read(name)
        return stored if _is_ordinary(stored) else stored.to(self._dtype)

    def _check(self, name: str, like: Tensor) -> None:
        """Raises: EditorError, the weight has another shape than the configuration says."""
        shape = self._files.shape(name)
        if shape != tuple(like.shape):
            raise EditorError(
                f"the weight {name} is {shape}; the configuration says {tuple(like.shape)}",
                "use weights and configuration of the same model",
            )


def find_embedders(transformer: Any) -> tuple[str, ...]:
    """Names of the parts with weights that come before the blocks."""
    return tuple(
        name
        for name, part in transformer.named_children()
        if name not in (*BLOCKS, *HEAD) and any(True for _ in _tensors(part))
    )


def count_blocks(transformer: Any) -> tuple[int, int]:
    """How many double and single blocks there are."""
    double, single = (len(getattr(transformer, kind, ())) for kind in BLOCKS)
    return double, single


def count_dimensions(transformer: Any) -> Dimensions:
    """What a transformer is made of, counted; one on the meta device will do."""
    double, single = count_blocks(transformer)
    kinds = [
        getattr(transformer, kind)[0] for kind in BLOCKS if len(getattr(transformer, kind, ()))
    ]
    of_kinds = [count_parameters(block) for block in kinds]
    # A double block of two streams has one matrix for text tokens and one for the others.
    matrices = _token_matrices(kinds[0])
    streams = 2 if any(n.endswith("add_q_proj") for n, _ in kinds[0].named_modules()) else 1
    entries = [sum(_token_matrices(block, before_attention=True)) for block in kinds]
    return Dimensions(
        double=double,
        single=single,
        width=transformer.inner_dim,
        double_block=of_kinds[0] if double else 0,
        single_block=of_kinds[-1] if single else 0,
        embedders=sum(
            count_parameters(transformer.get_submodule(n)) for n in find_embedders(transformer)
        ),
        head_parameters=sum(count_parameters(transformer.get_submodule(n)) for n in HEAD),
        token_products=sum(matrices) // streams,
        double_entry=entries[0] // streams if double else 0,
        single_entry=entries[-1] if single else 0,
        largest_matrix=max(w.numel() for block in kinds for w in block.parameters()),
        causal=bool(transformer.config.get("causal_condition", False)),
        kept=_choose_kept(transformer, kinds[0]),
    )


def _choose_kept(transformer: Any, block: nn.Module) -> Kept:
    """What was counted for blocks of this kind."""
    config = transformer.config
    if config.get("causal_condition", False):
        return CAUSAL
    if type(transformer).__name__.startswith("QwenImage"):
        return TWO_TIMES if config.get("zero_cond_t", False) else QWEN
    gated = any("swiglu" in type(m).__name__.lower() for m in block.modules())
    return GATED if gated else PLAIN


def count_parameters(module: nn.Module) -> int:
    """How many numbers a part has."""
    return sum(weight.numel() for weight in module.parameters())


def _token_matrices(block: nn.Module, *, before_attention: bool = False) -> list[int]:
    """Sizes of the matrices that tokens are multiplied with; modulation is of the time alone."""
    wanted = ENTRY if before_attention else re.compile("")
    return [
        layer.weight.numel()
        for name, layer in block.named_modules()
        if isinstance(layer, nn.Linear) and wanted.search(name) and not re.search("norm|_mod", name)
    ]


def build_empty(kind: Callable[[], Any]) -> Any:
    """A model without memory, on torch's meta device, frozen."""
    with torch.device("meta"):
        model = kind()
    return model.requires_grad_(False).eval()


def _fill(module: nn.Module, read: Callable[[str, Tensor], Tensor]) -> None:
    """Give every tensor that is still without memory its own; quantised layers have theirs."""
    for name, tensor in list(_tensors(module)):
        owner = module.get_submodule(name.rpartition(".")[0])
        if tensor.is_meta and not isinstance(owner, QuantisedLinear):
            _set(module, name, read(name, tensor))


def _empty(module: nn.Module) -> None:
    """Be as it was built: without memory, quantised layers as the linear ones that they were."""
    for path, layer in list(module.named_modules()):
        if isinstance(layer, QuantisedLinear):
            rows, columns = layer.shape
            linear = nn.Linear(columns, rows, bias=layer.bias is not None, device="meta")
            parent, _, leaf = path.rpartition(".")
            module.get_submodule(parent)._modules[leaf] = linear.requires_grad_(False)
    _replace(module, lambda tensor: torch.empty_like(tensor, device="meta"))


def _replace(module: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    for name, tensor in list(_tensors(module)):
        _set(module, name, change(tensor))


def _set(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if leaf in owner._parameters:
        owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[leaf] = tensor


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What a module has from files; other buffers it computes itself."""
    yield from module.named_parameters()
    if buffers := list(module.named_buffers()):
        stored = module.state_dict()
        yield from (one for one in buffers if one[0] in stored)


def _is_ordinary(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.float32, torch.float16, torch.bfloat16)
