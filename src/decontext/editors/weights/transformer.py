"""FLUX's transformer as an editor uses it: planned first, filled as far as a pass needs it.

Between the files of the weights and the one forward pass of the editor: chooses precision,
streaming and checkpointing for what is asked, says so, and loads the blocks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from decontext.editors.flux.family import prepare_transformer
from decontext.editors.weights.blocks import BlockLoader, build_empty, count_dimensions
from decontext.editors.weights.configuration import LIBRARY_ERRORS
from decontext.editors.weights.loading import quiet
from decontext.editors.weights.plan import (
    QUANTISED,
    Demand,
    Dimensions,
    Plan,
    choose_plan,
    number_bytes,
    require_fit,
)
from decontext.editors.weights.shards import WeightFiles
from decontext.errors import EditorError, InputError
from decontext.machine import describe_bytes, free_memory, stands_apart

logger = logging.getLogger("decontext")
DTYPES = {4: torch.float32, 2: torch.bfloat16}
KEPT_SIZES = 32

Size = tuple[int, ...]
"""Of a pass: text tokens, rows and columns of target and context."""


class Transformer:
    """A transformer in memory. `LoadedTransformer` is one that comes from files.

    Attributes:
        model: diffusers' transformer, such as `FluxTransformer2DModel`.
        device: where it computes.
        lock: held while weights are chosen, loaded or changed; a pass runs without it.
    """

    plan: Plan | None = None

    def __init__(self, model: Any, *, checkpointing: bool | None = None) -> None:
        _refuse_offloading(model)
        self.model = model
        self.device: torch.device = model.device
        self.lock = threading.RLock()
        self.dimensions = count_dimensions(model)
        model.pos_embed = RotaryTables(model.pos_embed)
        self.checkpointing = prepare_transformer(model, checkpointing)

    @property
    def dtype(self) -> torch.dtype:
        """What it computes with."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    def settle(self, demand: Demand) -> None:
        """Choose how to load, where that is still open. Raises: EditorError."""

    def load_blocks(self, count: int) -> None:
        """Have the first `count` blocks ready. Raises: EditorError."""

    def load_everything(self) -> None:
        """Have everything ready for a whole pass. Raises: EditorError."""

    def forget_blocks(self) -> None:
        """Give back the memory of weights that can be read again."""

    def describe(self) -> str:
        """How it is held, in words."""
        return str(self.dtype).removeprefix("torch.")

    def for_measuring(self) -> Transformer:
        """One in the best precision that fits; itself where that is it."""
        return self


class LoadedTransformer(Transformer):
    """A transformer whose weights are read from files once it is known what is needed of them.

    `precision` is one of `WEIGHT_BYTES`, or "auto"; `stream` copies blocks to the device one by
    one; `checkpointing` is whether activations are computed twice, by default where they must;
    `reason` is said where the user has not chosen. `build` makes the model without memory
    from its `config`, by default diffusers' `FluxTransformer2DModel`.

    Raises:
        EditorError: weights that the configuration asks for are in no file.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        files: WeightFiles,
        *,
        editor: str,
        device: torch.device,
        precision: str,
        stream: bool,
        reason: str = "",
        checkpointing: bool | None = None,
        build: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> None:
        self._build = build or build_flux
        super().__init__(self._build(config), checkpointing=False)
        self.device = device
        self._config, self._files, self._editor = config, files, editor
        self._precision, self._stream, self._reason = precision, stream, reason
        self._twice = checkpointing
        self._loader: BlockLoader | None = None
        files.check_files()
        absent = sorted(set(self.model.state_dict()) - files.names())
        if absent:
            raise EditorError(
                f"{editor}: the part 'transformer' of {files.folder} is damaged or incomplete "
                f"({len(absent)} weights, the first {absent[0]})",
                "copy or download the folder again",
            )

    @property
    def dtype(self) -> torch.dtype:
        gpu = stands_apart(self.device)
        precision = self.plan.precision if self.plan else "float32"
        return DTYPES[number_bytes(precision, gpu=gpu)]

    def propose(self, demand: Demand) -> Plan:
        """The plan for a demand, without loading anything. Raises: EditorError."""
        if self.plan is not None:
            fixed, stream, free = self.plan.precision, self.plan.streamed, self.plan.free
        else:
            fixed, stream = self._precision, self._stream
            free = free_memory(self.device)
        try:
            plan = choose_plan(
                self.dimensions,
                demand,
                precision=fixed,
                stream=stream,
                free=free,
                checkpointing=self._twice,
            )
        except EditorError as error:
            raise EditorError(f"{self._editor}: {error.message}", error.hint) from None
        reason = self.plan.reason if self.plan is not None else self._reason
        return replace(plan, reason=reason or plan.reason)

    def settle(self, demand: Demand) -> None:
        with self.lock:
            if self.plan is None:
                self._settle(demand)
            elif demand.samples > 1 and not self.checkpointing:
                self._settle_again(demand)

    def _settle(self, demand: Demand) -> None:
        plan = self.propose(demand)
        gpu = stands_apart(self.device)
        require_fit(plan, self._editor, gpu=gpu)
        if not plan.fits:
            logger.warning(
                "%s may not fit: %s is needed, %s is free",
                self._editor, describe_bytes(plan.total), describe_bytes(plan.free),
            )  # fmt: skip
        logger.info("%s: %s", self._editor, plan.describe())
        self.plan = plan
        self.checkpointing = prepare_transformer(self.model, plan.checkpointing)
        self._loader = BlockLoader(
            self.model,
            self._files,
            device=self.device,
            dtype=self.dtype,
            precision=plan.precision,
            stream=plan.streamed,
            pin=self.device.type == "cuda" and plan.streamed and self._has_room_to_pin(demand),
        )

    def _settle_again(self, demand: Demand) -> None:
        """The plan was made for less, such as an edit: weights stay, activations need not."""
        plan = self.propose(demand)
        if plan.checkpointing:
            logger.info("%s: %s", self._editor, plan.describe())
            self.plan = plan
            self.checkpointing = prepare_transformer(self.model, plan.checkpointing)

    def load_blocks(self, count: int) -> None:
        with self.lock:
            self._ready().load_blocks(count)

    def load_everything(self) -> None:
        with self.lock:
            self._ready().load_everything()

    def forget_blocks(self) -> None:
        with self.lock:
            if self._loader is not None:
                self._loader.forget()

    def describe(self) -> str:
        name = self.plan.precision if self.plan else self._precision
        return f"{name}, streamed" if self.plan and self.plan.streamed else name

    def for_measuring(self) -> Transformer:
        """Beside the quantised one, which stays: streamed, it takes one block more."""
        if self.plan is None or self.plan.precision not in QUANTISED:
            return self
        precision = "bfloat16" if self.device.type == "cuda" else "float32"
        return LoadedTransformer(
            self._config,
            self._files,
            editor=self._editor,
            device=self.device,
            precision=precision,
            stream=True,
            reason="to measure with",
            build=self._build,
        )

    def _ready(self) -> BlockLoader:
        if self._loader is None:
            raise EditorError(f"{self._editor}: how to load it was not settled")
        return self._loader

    def _has_room_to_pin(self, demand: Demand) -> bool:
        stored = 2 * self.dimensions.block_parameters(demand.blocks)
        return 1.3 * stored < free_memory(torch.device("cpu"))


def _refuse_offloading(model: Any) -> None:
    """Raises: InputError, the weights come and go in a way that corrupts gradients."""
    for module in model.modules():
        if hasattr(module, "_hf_hook") or hasattr(module, "_diffusers_hook"):
            raise InputError(
                "this transformer's weights are offloaded (model, group or sequential offload), "
                "which corrupts gradients or keeps every block loaded",
                "load the editor with stream_weights=True instead (--stream-weights)",
            )


def build_flux(config: Mapping[str, Any]) -> Any:
    """FLUX.1's transformer for a configuration, without memory. Raises: EditorError."""
    model = build_transformer("FluxTransformer2DModel", config)
    require_axes(model)
    return model


def require_axes(model: Any) -> None:
    """Raises: EditorError, widths of the position axes, which only a pass looks at, are wrong."""
    axes, head = model.config.axes_dims_rope, model.config.attention_head_dim
    if not isinstance(axes, list | tuple) or not all(isinstance(axis, int) for axis in axes):
        raise _unusable(f"axes_dims_rope is {axes!r}; it must be whole numbers")
    if sum(axes) != head or any(axis < 2 or axis % 2 for axis in axes):
        raise _unusable(f"axes_dims_rope is {axes!r}; it must be even numbers of sum {head}")


def build_transformer(name: str, config: Mapping[str, Any]) -> Any:
    """diffusers' transformer of this name for a configuration, without memory.

    Raises: EditorError, the configuration cannot be used.
    """
    import diffusers

    kind: Any = getattr(diffusers, name)
    try:
        with quiet(local=True):
            return build_empty(lambda: kind.from_config(config))
    except LIBRARY_ERRORS as error:
        raise _unusable(str(error) or repr(error)) from error


def _unusable(reason: object) -> EditorError:
    return EditorError(
        f"the part 'transformer' of these weights has a configuration that cannot be used "
        f"({reason})",
        "copy or download the folder again",
    )


def count_published(name: str, config: Mapping[str, Any]) -> Dimensions:
    """What diffusers' transformer of this name is made of; one block of each kind is built."""
    kinds = [kind for kind in ("num_layers", "num_single_layers") if kind in config]
    counted = count_dimensions(build_transformer(name, {**config, **dict.fromkeys(kinds, 1)}))
    return replace(counted, double=config["num_layers"], single=config.get("num_single_layers", 0))


class RotaryTables(nn.Module):
    """The rotary tables of a size, computed once: a pass names its size, see `naming_size`.

    Without a name they are computed as ever. The last few sizes are kept.
    """

    def __init__(self, compute: Any) -> None:
        super().__init__()
        self._compute = compute
        self._tables: dict[Size, Any] = {}

    def forward(self, ids: Tensor, *others: Any, **options: Any) -> Any:
        size = _size.get()
        if size is None:
            return self._compute(ids, *others, **options)
        tables = self._tables.get(size)
        if tables is None:
            tables = self._compute(ids)
            # Replaced as a whole, so that no other thread sees it half changed.
            kept = list(self._tables.items())[1 - KEPT_SIZES :]
            self._tables = dict(kept) | {size: tables}
        return tables


@contextmanager
def naming_size(size: Size) -> Iterator[None]:
    """Within it, a pass of this thread has this size, and rotary tables known for it are used.

    Blocks that are run again in a backward pass get the tables as an argument.
    """
    token = _size.set(size)
    try:
        yield
    finally:
        _size.reset(token)


_size: ContextVar[Size | None] = ContextVar("decontext_size", default=None)
