"""Plots for pages: drawn by matplotlib as SVG, in the colours of the page that shows them.

They are made for the width of a phone: what is read there on screen has at least 11 pixels. Needs
the extra `decontext[eval]`.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from decontext.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.4
"""Inches; 422 pixels of a screen."""

FONT = 10.5
"""Points: 14 pixels of a screen, 11 and more where a phone shows the whole plot on 350."""

BLUE, ORANGE = "#4a82c4", "#d2691e"
"""Both can be told from a white and from a dark page, and from each other without colour vision."""

INK, LINES = "#010203", "#040506"
"""Stand for the page's own colours, see `to_plot`."""

_STYLE = (
    "<style>svg{color:#1b1d20;--line:#b9bcc0}"
    "@media (prefers-color-scheme:dark){svg{color:#e8e9ea;--line:#5a6068}}</style>"
)


@dataclass(frozen=True)
class Plot:
    """A plot as SVG with its caption; `alt` says in words what it shows."""

    svg: str = field(repr=False)
    caption: str
    alt: str
    width: int
    height: int
    tiny: bool = False

    @property
    def uri(self) -> str:
        """The plot itself, as an address."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


def check_matplotlib() -> None:
    """Find out before the work whether there can be plots. Raises: InputError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(
            "plots need matplotlib, which is not installed.", "Run: pip install 'decontext[eval]'"
        ) from None


def new_figure(height: float) -> Figure:
    """An empty figure, `height` in inches, without a window system.

    Raises: InputError: the extra `eval` is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure as NewFigure

    return NewFigure(figsize=(WIDTH, height), layout="constrained")


def finish(axes: Any, *, title: str = "", grid: str = "both") -> None:
    """Ink, lines and sizes of all plots; call it last."""
    axes.set_title(title, fontsize=FONT, loc="left", color=INK, wrap=True)
    axes.tick_params(which="both", labelsize=FONT, labelcolor=INK, color=LINES)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINES)
    axes.set_facecolor("none")
    if grid:
        axes.grid(axis=grid, color=LINES, alpha=0.4, linewidth=0.6)
        axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=FONT, color=INK)
    for text in axes.texts:
        text.set(fontsize=FONT, color=INK)
    legend = axes.get_legend()
    if legend is not None:
        for text in legend.get_texts():
            text.set(fontsize=FONT, color=INK)


def to_plot(figure: Figure, *, caption: str = "", alt: str) -> Plot:
    """A figure for a page."""
    import matplotlib

    content = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "decontext"}):
        figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    svg = content.getvalue().replace(INK, "currentColor").replace(LINES, "var(--line)")
    head, _, body = svg[svg.index("<svg") :].partition(">")
    width, height = figure.get_size_inches() * 96
    return Plot(f"{head}>{_STYLE}{body}", caption, alt, round(width), round(height))
