"""The editors, one file each, found by file name: `flux_kontext.py` is `flux-kontext`.

An underscore is a hyphen, between digits a dot: `step1x_edit_v1_0.py` is `step1x-edit-v1.0`. A file
that belongs here defines `INFO` and `load(source, *, device, dtype, cache)`, and may take further
options. Importing this package imports neither torch nor any editor.
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from decontext.editors._base import (
    AttendsLatents,
    Cost,
    Editor,
    EditorInfo,
    Estimates,
    LoadsForMeasuring,
    Outlook,
    Prepares,
    Prompt,
)
from decontext.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = [
    "AttendsLatents",
    "Cost",
    "Editor",
    "EditorInfo",
    "Estimates",
    "LoadsForMeasuring",
    "Outlook",
    "Prepares",
    "Prompt",
    "diagnose_editor",
    "editor_names",
    "list_editors",
    "load_editor",
]

DEMONSTRATIONS = ("kontext-mini",)
"""Editors that nobody meets: never proposed in the place of a real one."""


def editor_names() -> tuple[str, ...]:
    """Names of all editors, sorted; nothing is imported for it."""
    # Families are folders: what several editors share is no editor.
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    named = (re.sub(r"(?<=\d)_(?=\d)", ".", name) for name in modules if not name.startswith("_"))
    return tuple(sorted(name.replace("_", "-") for name in named))


def list_editors() -> tuple[EditorInfo, ...]:
    """What is known of each editor without loading its weights, sorted by name."""
    return tuple(_editor_module(name).INFO for name in editor_names())


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


def _editor_module(name: str) -> ModuleType:
    names = editor_names()
    if name not in names:
        hint = f"did you mean {close!r}?" if (close := _closest(name, names)) else ""
        raise InputError(f"no editor named {name!r}; available: {', '.join(names)}", hint)
    return import_module(f"{__name__}.{re.sub('[-.]', '_', name)}")


def _closest(name: str, names: Sequence[str]) -> str | None:
    """The editor that was meant; a demonstration only where hardly a letter is wrong."""
    written = name.lower().replace("_", "-")
    shown = difflib.get_close_matches(written, DEMONSTRATIONS, n=1, cutoff=0.9)
    real = [known for known in names if known not in DEMONSTRATIONS]
    return next(iter(shown or difflib.get_close_matches(written, real, n=1, cutoff=0.4)), None)
