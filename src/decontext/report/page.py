"""One self-contained HTML page: what was found, pictures, then numbers. The template: `page.html`.

It loads nothing and runs no script. Pictures are enlarged by the browser's own popovers, which
Escape closes; it follows the colours and the width of the screen.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count

import jinja2
from PIL import Image
from torch import Tensor

from decontext.photo.images import to_array
from decontext.report.plot import Plot

TINY = 256
"""Pictures with no side longer than this, in pixels, can be shown unsmoothed."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture `(1, 3, height, width)` in [0, 1] with its caption.

    `alt` says what it shows to whoever does not see it; the caption does where it is empty.
    """

    image: Tensor = field(repr=False)
    caption: str
    alt: str = ""

    @property
    def width(self) -> int:
        """In pixels."""
        return self.image.shape[-1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.image.shape[-2]

    @property
    def tiny(self) -> bool:
        """Whether single pixels can be seen when it is enlarged."""
        return max(self.width, self.height) <= TINY

    @property
    def uri(self) -> str:
        """The picture itself, as an address."""
        content = io.BytesIO()
        Image.fromarray(to_array(self.image)).save(content, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


@dataclass(frozen=True, eq=False)
class Pair:
    """A photo, and what the editor makes of it; `small` for what is only there to compare with."""

    title: str
    before: Figure
    after: Figure
    small: bool = False


@dataclass(frozen=True, eq=False)
class Row:
    """Pictures or plots side by side; `shape` is `three` for three of them, `plots` for plots."""

    figures: Sequence[Figure | Plot]
    title: str = ""
    shape: str = ""


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page: sentences, pairs, rows, and a table whose first row is its head.

    `remarks` are sentences that come after the pictures and before the table.
    A `folded` one shows its title only, until it is opened.
    """

    title: str
    texts: Sequence[str] = ()
    rows: Sequence[Row] = ()
    table: Sequence[Sequence[str]] = ()
    pairs: Sequence[Pair] = ()
    remarks: Sequence[str] = ()
    folded: bool = False


def build_page(
    title: str, statement: str, sections: Sequence[Section], *, lead: Sequence[str] = ()
) -> str:
    """One self-contained HTML page; pictures are inside it as data URIs.

    `lead` are the sentences that come first, with what was found; `statement` says what it holds
    for.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(
        files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    )
    page = template.render(
        title=title,
        statement=statement,
        sections=sections,
        lead=lead,
        any_tiny=any(_shows_tiny(section) for section in sections),
        number=count(1).__next__,
    )
    # Names of files may hold bytes that are no UTF-8; the page must be.
    return page.encode("utf-8", "backslashreplace").decode()


def _shows_tiny(section: Section) -> bool:
    pictures = [figure for row in section.rows for figure in row.figures]
    pictures += [figure for pair in section.pairs for figure in (pair.before, pair.after)]
    return any(figure.tiny for figure in pictures)
