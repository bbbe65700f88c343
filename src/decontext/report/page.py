"""One self-contained HTML page: sections of text, tables and pictures, in `page.html`."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import jinja2
from PIL import Image
from torch import Tensor

from decontext.photo.images import to_array


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


def build_page(title: str, statement: str, sections: Sequence[Section]) -> str:
    """One self-contained HTML page; pictures are inside it as data URIs."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    )
    return template.render(title=title, statement=statement, sections=sections, uri=_data_uri)


def _data_uri(image: Tensor) -> str:
    content = io.BytesIO()
    Image.fromarray(to_array(image)).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
