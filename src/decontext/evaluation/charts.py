"""The plots of pages and documents, drawn from summaries. Needs the extra `decontext[eval]`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from decontext.errors import InputError
from decontext.evaluation.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _BAR_HEIGHT, _MARGIN = 7.0, 0.34, 1.0
_LONGEST = 1.5


def draw_bars(
    values: Mapping[str, Summary], *, title: str, label: str, line: float | None = None
) -> Figure:
    """One horizontal bar a name, with its interval; `line` is a threshold."""
    figure = _new_figure(height=_MARGIN + _BAR_HEIGHT * max(1, len(values)))
    axes = figure.subplots()
    names = [name for name, value in values.items() if value.mean is not None]
    means = np.array([values[name].mean for name in names], float)
    ends = [
        [_or(values[n].low, values[n].mean), _or(values[n].high, values[n].mean)] for n in names
    ]
    errors = np.abs(np.array(ends).reshape(-1, 2).T - means)
    axes.barh(names, means, xerr=errors, color="#4a7ab5", error_kw={"elinewidth": 1, "capsize": 2})
    axes.invert_yaxis()
    _finish(axes, title)
    axes.set_xlabel(label)
    if line is not None:
        axes.axvline(line, color="#c60", linewidth=1, linestyle="--")
    return figure


def draw_lines(
    series: Mapping[str, Sequence[tuple[float, Summary]]],
    *,
    title: str,
    labels: tuple[str, str],
    line: float | None = None,
    logarithmic: bool = False,
) -> Figure:
    """One line a name over numbers such as budgets or steps, with intervals as bands."""
    figure = _new_figure(height=3.4)
    axes = figure.subplots()
    for name, points in series.items():
        known = [(x, value) for x, value in points if value.mean is not None]
        places = [x for x, _ in known]
        means = [_or(value.mean, None) for _, value in known]
        (drawn,) = axes.plot(places, means, marker="o", label=name)
        low = [_or(v.low, v.mean) for _, v in known]
        high = [_or(v.high, v.mean) for _, v in known]
        axes.fill_between(places, low, high, alpha=0.15, color=drawn.get_color())
    if line is not None:
        axes.axhline(line, color="#c60", linewidth=1, linestyle="--", label="same person from here")
    # An axis of nothing cannot be logarithmic.
    if logarithmic and any(
        value.mean is not None for points in series.values() for _, value in points
    ):
        axes.set_xscale("log", base=2)
        axes.set_xticks([x for x, _ in next(iter(series.values()))])
        axes.get_xaxis().set_major_formatter("{x:g}")
    _finish(axes, title)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.legend(frameon=False, fontsize=8)
    return figure


def draw_groups(
    names: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    label: str,
    line: float | None = None,
) -> Figure:
    """Bars side by side: for each name one of each series; None leaves a gap.

    Parts of a small drop can be many times it: the axis ends at 1.5.
    """
    rows = max(1, len(names) * len(series))
    figure = _new_figure(height=_MARGIN + 0.22 * rows + 0.4)
    axes = figure.subplots()
    places, width = np.arange(len(names)), 0.8 / max(1, len(series))
    for index, (name, values) in enumerate(series.items()):
        lengths = np.array([np.nan if value is None else value for value in values], float)
        axes.barh(places + (index - (len(series) - 1) / 2) * width, lengths, width, label=name)
    axes.set_yticks(places, names)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]), right=min(_LONGEST, axes.get_xlim()[1]))
    axes.invert_yaxis()
    if line is not None:
        axes.axvline(line, color="#c60", linewidth=1, linestyle="--")
    _finish(axes, title)
    axes.set_xlabel(label)
    axes.legend(frameon=False, fontsize=8)
    return figure


def to_image(figure: Figure) -> Tensor:
    """A plot as a picture `(1, 3, height, width)` in [0, 1]."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    with Image.open(content) as image:
        pixels = np.array(image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def _new_figure(*, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure as NewFigure
    except ImportError:
        raise InputError(
            "plots need matplotlib, which is not installed.", "Run: pip install 'decontext[eval]'"
        ) from None
    return NewFigure(figsize=(_WIDTH, height), layout="constrained")


def _finish(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)


def _or(value: float | None, other: float | None) -> float:
    """The value, or the other where there is none."""
    return float(value if value is not None else (other or 0.0))
