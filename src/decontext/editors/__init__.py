"""The editors, one file each, found by file name: `flux_kontext.py` is `flux-kontext`.

An underscore is a hyphen, between digits a dot: `step1x_edit_v1_0.py` is `step1x-edit-v1.0`. A file
that belongs here defines `INFO` and `load(source, *, device, dtype, cache)`, and may take further
options. Other packages bring editors by an entry point of the group `decontext.editors`, which
names such a module. Importing this package imports neither torch nor any editor.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import pkgutil
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from decontext.editors._base import (
    AttendsLatents,
    Cost,
    Editor,
    EditorInfo,
    Estimates,
    LaysOut,
    LoadsForMeasuring,
    OnEditStep,
    Outlook,
    Prepares,
    Prompt,
    Rests,
    SharesPhoto,
    TakesSeveral,
)
from decontext.errors import EditorError, InputError

if TYPE_CHECKING:
    import torch

    from decontext.editors.weights.weightless import Held

__all__ = [
    "AttendsLatents",
    "Cost",
    "Editor",
    "EditorInfo",
    "Estimates",
    "LaysOut",
    "LoadsForMeasuring",
    "OnEditStep",
    "Outlook",
    "Prepares",
    "Prompt",
    "Rests",
    "SharesPhoto",
    "TakesSeveral",
    "diagnose_editor",
    "editor_names",
    "list_editors",
    "load_editor",
    "weightless_editor",
]

DEMONSTRATIONS = ("kontext-mini", "klein-mini")
"""Editors that nobody meets, never proposed in the place of a real one; the page has the first."""

GROUP = "decontext.editors"
"""Of the entry points by which other packages bring editors."""

logger = logging.getLogger("decontext")


def editor_names() -> tuple[str, ...]:
    """Names of all editors, those of other packages too, sorted; nothing is imported for it."""
    return tuple(sorted({*_own_names(), *_brought()}))


def _own_names() -> set[str]:
    # Families are folders: what several editors share is no editor.
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    named = (re.sub(r"(?<=\d)_(?=\d)", ".", name) for name in modules if not name.startswith("_"))
    return {name.replace("_", "-") for name in named}


def _brought() -> dict[str, EntryPoint]:
    """What other packages bring. A name that is taken here stays what it is."""
    return {
        point.name: point for point in entry_points(group=GROUP) if point.name not in _own_names()
    }


def list_editors() -> tuple[EditorInfo, ...]:
    """What is known of each editor without loading its weights, sorted by name.

    An editor of another package that cannot be imported is told of and left out.
    """
    found = []
    for name in editor_names():
        try:
            found.append(_editor_module(name).INFO)
        except EditorError as error:
            logger.warning("%s", error)
    return tuple(found)


def load_editor(
    name: str,
    *,
    source: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
    **options: Any,
) -> Editor:
    """Load an editor with frozen weights.

    `source` is a folder in the editor's own format or a hub id (default: the editor's own),
    `device` defaults to a GPU where there is one, `dtype` is how the weights are held ("float32",
    "bfloat16"; some editors: "int8", "fp8", "nf4", "auto") and defaults to what suits the device,
    `cache` is the folder where weights from the hub are kept. `options` are the editor's own, such
    as `stream_weights=True` and `parts=FOLDER` of flux-kontext.

    Raises:
        InputError: there is no such editor, device, dtype or option.
        EditorError: the weights are missing or damaged; the message names the part.
    """
    load = _editor_module(name).load
    for option in options:
        if option not in inspect.signature(load).parameters:
            raise InputError(f"{name} has no option --{option.replace('_', '-')}", "leave it out")
    editor: Editor = load(source, device=device, dtype=dtype, cache=cache, **options)
    return editor


def diagnose_editor(name: str) -> Outlook:
    """What an editor would do on this machine; nothing is loaded or downloaded."""
    module = _editor_module(name)
    if not hasattr(module, "diagnose"):
        return Outlook((f"needs {module.INFO.memory}",), ())
    outlook: Outlook = module.diagnose()
    return outlook


def weightless_editor(name: str, held: Held) -> Editor:
    """An editor in its published size without its weights: all of its code, see `Held`.

    Raises:
        InputError: there is no such editor, or it cannot be had without its weights.
    """
    module = _editor_module(name)
    if not hasattr(module, "weightless"):
        able = [n for n in _own_names() if hasattr(_editor_module(n), "weightless")]
        raise InputError(
            f"{name} cannot be followed without its weights; it has no 'weightless'.",
            f"these can: {', '.join(sorted(able))}",
        )
    editor: Editor = module.weightless(held)
    return editor


def _editor_module(name: str) -> ModuleType:
    names = editor_names()
    if name not in names:
        hint = f"did you mean {close!r}?" if (close := _closest(name, names)) else ""
        raise InputError(f"no editor named {name!r}; available: {', '.join(names)}", hint)
    if name in _own_names():
        return import_module(f"{__name__}.{re.sub('[-.]', '_', name)}")
    return _import_brought(_brought()[name])


def _import_brought(point: EntryPoint) -> ModuleType:
    """The module of another package. Raises: EditorError, it is no editor."""
    try:
        module: ModuleType = point.load()
    except (ImportError, AttributeError) as error:
        raise EditorError(
            f"the editor {point.name!r} that another package brings cannot be imported ({error})",
            f"update or remove the package of {point.value}",
        ) from error
    if not isinstance(getattr(module, "INFO", None), EditorInfo) or not hasattr(module, "load"):
        raise EditorError(
            f"the editor {point.name!r} that another package brings has no INFO or no load",
            "its entry point must name a module as docs/adding-an-editor.md describes it",
        )
    return module


def _closest(name: str, names: Sequence[str]) -> str | None:
    """The editor that was meant; a demonstration only where hardly a letter is wrong."""
    written = name.lower().replace("_", "-")
    shown = difflib.get_close_matches(written, DEMONSTRATIONS, n=1, cutoff=0.9)
    real = [known for known in names if known not in DEMONSTRATIONS]
    return next(iter(shown or difflib.get_close_matches(written, real, n=1, cutoff=0.4)), None)
