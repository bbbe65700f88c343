"""Loading an editor part by part, so that an error can name the part that is missing or damaged.

Where the folder comes from is the matter of `_sources`. Only safetensors are read: loading an
editor never runs code from its folder.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from decontext.editors.weights.configuration import LIBRARY_ERRORS, damaged, read_config
from decontext.editors.weights.plan import ALIASES, PRECISIONS
from decontext.errors import EditorError, InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_LIBRARIES = threading.RLock()
"""Held while libraries load or encode: they change global settings then, as `quiet` does."""


def choose_device(device: str | torch.device | None) -> torch.device:
    """The named device, or a GPU where there is one.

    Raises:
        InputError: there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"no device is named {str(device)!r}", "try 'cpu' or 'cuda'") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA GPU that torch can use", "try --device cpu")
    return chosen


def choose_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The named precision; by default bfloat16 on a GPU and float32 on a CPU.

    Raises:
        InputError: the precision is not one of `DTYPES` (float16 gradients underflow).
    """
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in DTYPES.values():
        raise InputError(f"the precision is {dtype}; it must be one of {', '.join(DTYPES)}")
    return chosen


def choose_precision(precision: str | torch.dtype | None, device: torch.device) -> str:
    """How weights are held: one of `PRECISIONS`; by default as `choose_dtype`.

    Raises:
        InputError: there is no such precision (float16 gradients underflow).
    """
    if precision is None or isinstance(precision, torch.dtype):
        return str(choose_dtype(precision, device)).removeprefix("torch.")
    chosen = ALIASES.get(precision, precision)
    if chosen not in PRECISIONS:
        raise InputError(
            f"the precision is {precision}; it must be one of {', '.join((*ALIASES, *PRECISIONS))}"
        )
    return chosen


def load_part(editor: str, folder: Path, part: str, kind: Any, *, dtype: torch.dtype) -> Any:
    """One part of a folder in diffusers' layout, by its class; models in `dtype`.

    Raises:
        EditorError: the part is missing or damaged; the message names it.
    """
    if not (folder / part).is_dir():
        raise EditorError(
            f"{editor}: the part {part!r} is missing from {folder}",
            "the folder must hold every part of the pipeline, as save_pretrained writes it",
        )
    options: dict[str, Any] = {"subfolder": part}
    is_model = issubclass(kind, torch.nn.Module)
    if is_model:
        read_config(editor, folder, part)
        options |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        with quiet(True):
            loaded = kind.from_pretrained(folder, **options)
    except LIBRARY_ERRORS as error:
        raise damaged(editor, folder, part, str(error).strip() or repr(error)) from error
    if not is_model:
        return loaded
    model, report = loaded
    absent = sorted(report["missing_keys"])
    if absent:
        raise damaged(editor, folder, part, f"{len(absent)} weights, the first {absent[0]}")
    return model


@contextmanager
def quiet(local: bool) -> Iterator[None]:
    """Keep the libraries' log, warnings and, for local folders, progress bars off the terminal.

    One thread at a time: what is switched off is switched on again as it was.
    """
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    with _LIBRARIES, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = [(lib.get_verbosity(), lib.is_progress_bar_enabled()) for lib in libraries]
        try:
            for lib in libraries:
                lib.set_verbosity_error()
                if local:
                    lib.disable_progress_bar()
            yield
        finally:
            for lib, (verbosity, bars) in zip(libraries, before, strict=True):
                lib.set_verbosity(verbosity)
                if bars:
                    lib.enable_progress_bar()
