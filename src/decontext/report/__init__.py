"""What a run says of itself: JSON beside the photo that repeats it, and one self-contained page.

No sentence here promises anything: a report says against which editor, how strongly, and what was
measured.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import torch
from PIL import Image
from torch import Tensor

from decontext.editors import EditorInfo
from decontext.errors import InputError
from decontext.photo.files import write_whole
from decontext.photo.images import to_array
from decontext.settings import ProtectSettings, describe_epsilon
from decontext.verify import Verification

FORMAT = "decontext-report-1"
PACKAGES = ("torch", "diffusers", "transformers", "pillow", "safetensors")
DISCLAIMER = (
    "Measured against this editor only: protection does not carry over to another editor or "
    "version without being measured there, and what happens to the photo later (JPEG, resizing, "
    "cropping, filters) was not measured."
)
DEMONSTRATION = (
    "kontext-mini is a demonstration editor: this photo is protected against no other editor."
)


def build_report(
    *,
    original: Path,
    protected: Path,
    name: str,
    editor: EditorInfo,
    device: str,
    precision: str = "",
    settings: ProtectSettings,
    verification: Verification,
    psnr: float,
    seconds: float,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything about a run as plain values; `settings_from_report` reads the settings back.

    `precision` says how the editor's weights were held. `protected` is the file as it lies now,
    `name` the one it gets.
    """
    return {
        "format": FORMAT,
        "statement": f"{DEMONSTRATION} {DISCLAIMER}" if editor.demonstration else DISCLAIMER,
        "editor": {
            "name": editor.name,
            "weights": editor.weights,
            "demonstration": editor.demonstration,
        },
        "machine": {
            "device": device,
            "threads": torch.get_num_threads(),
            "precision": precision,
        },
        "settings": settings.to_dict(),
        "epsilon": describe_epsilon(settings.epsilon),
        "verification": verification.to_dict(),
        "psnr_db": psnr,
        "seconds": seconds,
        "notes": list(notes),
        "files": {
            "original": {"name": original.name, "sha256": sha256(original)},
            "protected": {"name": name, "sha256": sha256(protected)},
        },
        "versions": {"python": platform.python_version(), **_versions()},
    }


def report_path(output: Path) -> Path:
    """Where the report of a saved photo lies: `photo.protected.png.json`."""
    return output.with_name(output.name + ".json")


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON, whole or not at all. Raises: InputError."""
    write_whole((json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode(), path)


def settings_from_report(path: str | Path) -> ProtectSettings:
    """The settings that a report was written with.

    Raises:
        InputError: there is no such file, or it is no report of decontext.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the report {path} cannot be read ({error.strerror}).") from None
    except ValueError:
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


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture `(1, 3, height, width)` in [0, 1] with its caption; plots are `wide`."""

    image: Tensor = field(repr=False)
    caption: str
    wide: bool = False


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page: text, rows of figures, and a table whose first row is its head."""

    title: str
    text: str = ""
    rows: Sequence[Sequence[Figure]] = ()
    table: Sequence[Sequence[str]] = ()


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
.row { display: flex; flex-wrap: wrap; gap: 0.8rem; margin: 0.8rem 0; }
figure { margin: 0; width: 10.5rem; } figure img { width: 100%; image-rendering: auto; }
figure.wide { width: 34rem; max-width: 100%; }
figcaption { font-size: 0.8rem; } table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: 0.25rem 0.8rem; border-bottom: 1px solid #8884; text-align: left; }
.note { border-left: 4px solid #c60; padding: 0.3rem 0.8rem; }
</style></head><body><h1>{{ title }}</h1><p class="note">{{ statement }}</p>
{% for section in sections %}<section><h2>{{ section.title }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% if section.table %}<table>{% for row in section.table %}<tr>{% for cell in row -%}
{% if row is sameas section.table[0] %}<th>{{ cell }}</th>
{%- else %}<td>{{ cell }}</td>{% endif %}{% endfor %}</tr>{% endfor %}</table>{% endif %}
{% for row in section.rows %}<div class="row">{% for figure in row %}<figure
{%- if figure.wide %} class="wide"{% endif %}>
<img src="{{ uri(figure.image) }}" alt="{{ figure.caption }}">
<figcaption>{{ figure.caption }}</figcaption></figure>{% endfor %}</div>{% endfor %}
</section>{% endfor %}</body></html>
"""


def build_page(title: str, statement: str, sections: Sequence[Section]) -> str:
    """One self-contained HTML page; pictures are inside it as data URIs."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(PAGE)
    return template.render(title=title, statement=statement, sections=sections, uri=_data_uri)


def _data_uri(image: Tensor) -> str:
    content = io.BytesIO()
    Image.fromarray(to_array(image)).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
