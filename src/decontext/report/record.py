"""What a run says of itself: JSON beside the photo, with which the run can be repeated.

No sentence here promises anything: a report says against which editor, how strongly, and what was
measured.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from decontext.editors import EditorInfo
from decontext.errors import InputError
from decontext.notation import describe_epsilon
from decontext.photo.files import check_absent, write_whole
from decontext.settings import ProtectSettings
from decontext.verdict import DEMONSTRATION, Verification
from decontext.visibility.scores import Visibility

FORMAT = "decontext-report-1"
PACKAGES = ("torch", "diffusers", "transformers", "pillow", "safetensors")
DISCLAIMER = (
    "Measured against this editor only: protection does not carry over to another editor or "
    "version without being measured there, and what happens to the photo later (JPEG, resizing, "
    "cropping, filters) was not measured."
)


class Report(dict[str, Any]):
    """Everything about a run; printed it says the most important in a line."""

    def __repr__(self) -> str:
        found, name = self["verification"], self["files"]["protected"]["name"]
        where = f" of {name}" if name else ""
        shown = f" {DEMONSTRATION}" if self["editor"]["demonstration"] else ""
        return (
            f"<Report{where}: {found['sentence']}{shown} Epsilon {self['epsilon']}, "
            f"{self['steps']} steps, {len(found['measurements'])} measurements; "
            f"keys: {', '.join(self)}>"
        )

    __str__ = __repr__


def build_report(
    *,
    original: Path,
    protected: Path | None,
    name: str | None,
    editor: EditorInfo,
    device: str,
    precision: str = "",
    settings: ProtectSettings,
    verification: Verification,
    psnr: float,
    visibility: Visibility,
    seconds: float,
    steps: int | None = None,
    notes: Sequence[str] = (),
    original_sha256: str = "",
    editors: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Everything about a run as plain values; `settings_from_report` reads the settings back.

    `precision` says how the editor's weights were held, `steps` how many were done. `protected` is
    the file as it lies now, `name` the one it gets; None where nothing is written.
    `original_sha256` is that of the original where it is no file. Of several `editors` each is
    told of too, beside what they are together.
    """
    disclaimer = DISCLAIMER
    if editors:
        disclaimer = DISCLAIMER.replace("this editor only", "these editors only")
    values = {
        "format": FORMAT,
        "statement": f"{DEMONSTRATION} {disclaimer}" if editor.demonstration else disclaimer,
        "editor": {
            "name": editor.name,
            "weights": editor.weights,
            "demonstration": editor.demonstration,
            **({"among": list(editor.among)} if editor.among else {}),
        },
        "machine": {
            "device": device,
            "threads": torch.get_num_threads(),
            "precision": precision,
        },
        "settings": settings.to_dict(),
        "steps": settings.steps if steps is None else steps,
        "epsilon": describe_epsilon(settings.budget),
        "verification": verification.to_dict(),
        "psnr_db": psnr,
        "visibility": visibility.to_dict(),
        "seconds": seconds,
        "notes": list(notes),
        "files": {
            "original": {"name": original.name, "sha256": original_sha256 or sha256(original)},
            "protected": {"name": name, "sha256": protected and sha256(protected)},
        },
        "versions": {"python": platform.python_version(), **_versions()},
    }
    if editors:
        values["editors"] = [dict(each) for each in editors]
    return Report(values)


def report_path(output: Path) -> Path:
    """Where the report of a saved photo lies: `photo.protected.png.json`."""
    return output.with_name(output.name + ".json")


def write_report(report: Mapping[str, Any], path: Path, *, force: bool = True) -> None:
    """Write a report as JSON, whole or not at all; `force` replaces another one.

    Raises:
        InputError: it cannot be written, or there is a file already.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    # Of a file name that is no UTF-8 this leaves what JSON itself writes for it.
    content = text.encode("utf-8", "backslashreplace")
    check_absent(path, force=force)
    write_whole(content, path)


def is_report_of(path: Path, name: str) -> bool:
    """Whether this file is the report of a protected photo of that name."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        named: bool = content["files"]["protected"]["name"] == name
        return named and content["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def settings_from_report(path: str | Path) -> ProtectSettings:
    """The settings that a report was written with.

    Raises:
        InputError: there is no such file, or it is no report of decontext.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the report {path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):  # no JSON, or nested deeper than any report
        content = None
    is_report = isinstance(content, dict) and content.get("format") == FORMAT
    if not is_report or not isinstance(content.get("settings"), dict):
        raise InputError(
            f"{path} is no report of decontext.", "Give the report of a protected photo."
        )
    return ProtectSettings.from_dict(content["settings"])


def sha256(path: Path) -> str | None:
    """SHA-256 of a file's bytes, in hexadecimal; None where the file is gone."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _versions() -> dict[str, str]:
    from decontext import __version__

    found = {"decontext": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
