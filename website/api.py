"""The reference of Python: every exported name, from its docstring. One without is an error."""

from __future__ import annotations

import inspect

import decontext

GROUPS = {
    "The verbs": ("protect", "verify", "edit", "evaluate", "protect_many", "protect_steps"),
    "Editors": ("list_editors", "load_editor"),
    "Photos": ("to_photo", "load_photo", "save_photo", "read_pixels", "Photo", "PhotoSource"),
    "Settings": ("ProtectSettings", "SettingsKeywords", "parse_epsilon"),
    "What comes back": ("Result", "Verification", "Edited", "Evaluation", "Progress"),
    "Errors": (
        "DecontextError",
        "InputError",
        "EditorError",
        "AttentionError",
        "MemoryShortError",
        "CancelledError",
        "NotProtectedError",
    ),
}
"""Under which heading a name stands; those that stand nowhere come last."""


class UndocumentedError(ValueError):
    """A public name that says nothing about itself."""


def page() -> str:
    """The page in Markdown.

    Raises:
        UndocumentedError: an exported class or function has no docstring.
    """
    lines = ["# Python reference", "", "Every name that `import decontext` offers.", ""]
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in decontext.__all__ if name not in grouped)
    for heading, names in {**GROUPS, "More": others}.items():
        known = [name for name in names if name in decontext.__all__]
        if known:
            lines += [f"## {heading}", ""]
        for name in known:
            lines += [f"::: {home_of(name)}", ""]
    return "\n".join(lines)


def home_of(name: str) -> str:
    """Where an exported name is defined, such as `decontext.verify.verify`.

    Raises:
        UndocumentedError: it is a class or function without a docstring.
    """
    value = getattr(decontext, name)
    callable_ = inspect.isclass(value) or inspect.isfunction(value)
    if callable_ and not (value.__doc__ or "").strip():
        raise UndocumentedError(f"decontext.{name} is public and has no docstring.")
    module = value.__module__ if callable_ else f"decontext.{decontext._HOME_OF[name]}"
    return f"{module}.{name}"
