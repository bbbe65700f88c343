"""Loading an editor part by part, so that an error can name the part that is missing or damaged.

A source is a folder in diffusers' layout (one subfolder a part) or a hub id of the same layout.
Only safetensors are read: loading an editor never runs code from its folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from decontext.editors._plan import ALIASES, PRECISIONS
from decontext.errors import EditorError, InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_LOADING_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    SafetensorError,
)


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


def load_parts(
    editor: str,
    source: str | Path,
    classes: Mapping[str, Any],
    *,
    dtype: torch.dtype,
    cache: str | Path | None = None,
) -> dict[str, Any]:
    """Load every part of an editor; `classes` says what each subfolder holds.

    Raises:
        EditorError: there is no such folder, or a part is missing or damaged; it names the part.
    """
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if not local and not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(source)):
        raise EditorError(
            f"{editor}: there is no folder {str(source)!r}",
            "give a folder in diffusers' layout or a hub id such as owner/name",
        )
    with quiet(local):
        return {
            part: _load_part(editor, folder if local else str(source), part, kind, dtype, cache)
            for part, kind in classes.items()
        }


def load_part(editor: str, folder: Path, part: str, kind: Any, *, dtype: torch.dtype) -> Any:
    """One part of a local folder. Raises: EditorError, naming it."""
    with quiet(True):
        return _load_part(editor, folder, part, kind, dtype, None)


def _load_part(
    editor: str,
    source: str | Path,
    part: str,
    kind: Any,
    dtype: torch.dtype,
    cache: str | Path | None,
) -> Any:
    if isinstance(source, Path) and not (source / part).is_dir():
        raise EditorError(
            f"{editor}: the part {part!r} is missing from {source}",
            "the folder must hold every part of the pipeline, as save_pretrained writes it",
        )
    options: dict[str, Any] = {"subfolder": part, "cache_dir": cache}
    is_model = issubclass(kind, torch.nn.Module)
    if is_model:
        options |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        loaded = kind.from_pretrained(source, **options)
    except _LOADING_ERRORS as error:
        raise _unusable(editor, source, part, str(error).strip() or repr(error)) from error
    if not is_model:
        return loaded
    model, report = loaded
    absent = sorted(report["missing_keys"])
    if absent:
        raise _unusable(editor, source, part, f"{len(absent)} weights, the first {absent[0]}")
    return model


def _unusable(editor: str, source: str | Path, part: str, reason: str) -> EditorError:
    if isinstance(source, Path):
        return EditorError(
            f"{editor}: the part {part!r} of {source} is damaged or incomplete ({reason})",
            "copy or download the folder again",
        )
    return EditorError(
        f"{editor}: the part {part!r} of {source} could not be had from the hub ({reason})",
        "accept the weights' licence on the hub and log in, or give a local folder as the source",
    )


@contextmanager
def quiet(local: bool) -> Iterator[None]:
    """Keep the libraries' own log and, for local folders, their progress bars off the terminal."""
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
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
