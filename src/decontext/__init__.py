"""Protects photos of people against in-context image editors such as FLUX.1 Kontext.

    editor = decontext.load_editor("kontext-mini")
    result = decontext.protect("me.jpg", editor, output="me.protected.png")
    decontext.edit("me.protected.png", "make the person smile", editor)

Names are looked up when they are first used, so that importing this package does not import torch.
Start reading at `protect.py`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decontext.edit import Edited, edit
    from decontext.editors import list_editors, load_editor
    from decontext.errors import (
        AttentionError,
        CancelledError,
        DecontextError,
        EditorError,
        InputError,
        MemoryShortError,
        NotProtectedError,
    )
    from decontext.evaluation.entry import Evaluation, evaluate
    from decontext.keywords import SettingsKeywords
    from decontext.many import protect_many
    from decontext.notation import parse_epsilon
    from decontext.photo.images import Photo, load_photo, read_pixels, save_photo
    from decontext.photo.sources import PhotoSource, to_photo
    from decontext.progress import Progress
    from decontext.protect import protect, protect_steps
    from decontext.saving import Result
    from decontext.settings import ProtectSettings
    from decontext.verdict import Verification
    from decontext.verify import verify

__version__ = "0.1.0"

__all__ = [
    "AttentionError",
    "CancelledError",
    "DecontextError",
    "Edited",
    "EditorError",
    "Evaluation",
    "InputError",
    "MemoryShortError",
    "NotProtectedError",
    "Photo",
    "PhotoSource",
    "Progress",
    "ProtectSettings",
    "Result",
    "SettingsKeywords",
    "Verification",
    "edit",
    "evaluate",
    "list_editors",
    "load_editor",
    "load_photo",
    "parse_epsilon",
    "protect",
    "protect_many",
    "protect_steps",
    "read_pixels",
    "save_photo",
    "to_photo",
    "verify",
]

_HOMES = {
    "edit": ("Edited", "edit"),
    "editors": ("list_editors", "load_editor"),
    "errors": (
        "AttentionError",
        "CancelledError",
        "DecontextError",
        "EditorError",
        "InputError",
        "MemoryShortError",
        "NotProtectedError",
    ),
    "evaluation.entry": ("Evaluation", "evaluate"),
    "keywords": ("SettingsKeywords",),
    "many": ("protect_many",),
    "notation": ("parse_epsilon",),
    "photo.images": ("Photo", "load_photo", "read_pixels", "save_photo"),
    "photo.sources": ("PhotoSource", "to_photo"),
    "progress": ("Progress",),
    "protect": ("protect", "protect_steps"),
    "saving": ("Result",),
    "settings": ("ProtectSettings",),
    "verdict": ("Verification",),
    "verify": ("verify",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Keeps the modules `edit`, `protect` and `verify` from hiding the functions of these names."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a submodule sets it here; it stays reachable through sys.modules.
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'decontext' has no attribute {name!r}")
    value = getattr(import_module(f"decontext.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
