"""The plots of evaluations and of the study, drawn from summaries. Needs the extra `eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from decontext.evaluation.summary import Summary
from decontext.report.plot import BLUE, FONT, INK, ORANGE, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 175
"""Of plots as files: 770 pixels wide."""

_MARGIN, _LONGEST = 1.05, 1.5
_COLOURS = (BLUE, "#3d9970", "#b5651d", "#9467bd", "#7f8c8d", "#c2507a")


def draw_bars(
    values: Mapping[str, Summary], *, title: str, label: str, line: float | None = None
) -> Figure:
    """One horizontal bar a name, with its interval; `line` is a threshold.

    The name stands above its bar, where it has the whole width.
    """
    names = [name for name, value in values.items() if value.mean is not None]
    figure = new_figure(_MARGIN + 0.5 * max(1, len(names)))
    axes = figure.subplots()
    means = np.array([values[name].mean for name in names], float)
    ends = [
        [_or(values[n].low, values[n].mean), _or(values[n].high, values[n].mean)] for n in names
    ]
    errors = np.abs(np.array(ends).reshape(-1, 2).T - means)
    style = {"elinewidth": 1.2, "capsize": 3, "ecolor": "#7a8087"}
    axes.barh(range(len(names)), means, 0.42, xerr=errors, color=BLUE, error_kw=style)
    _name_above(axes, names, [0.0] * len(names), 0.26)
    if line is not None:
        axes.axvline(line, color=ORANGE, linewidth=1.4, linestyle="--")
    axes.set_xlabel(label, wrap=True)
    finish(axes, title=title, grid="x")
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
    figure = new_figure(3.6)
    axes = figure.subplots()
    for (name, points), colour in zip(series.items(), _COLOURS, strict=False):
        known = [(x, value) for x, value in points if value.mean is not None]
        places = [x for x, _ in known]
        means = [_or(value.mean, None) for _, value in known]
        axes.plot(places, means, marker="o", label=name, color=colour)
        low = [_or(v.low, v.mean) for _, v in known]
        high = [_or(v.high, v.mean) for _, v in known]
        axes.fill_between(places, low, high, alpha=0.2, color=colour, linewidth=0)
    if line is not None:
        label = "same person from here"
        axes.axhline(line, color=ORANGE, linewidth=1.4, linestyle="--", label=label)
    # An axis of nothing cannot be logarithmic.
    if logarithmic and any(
        value.mean is not None for points in series.values() for _, value in points
    ):
        axes.set_xscale("log", base=2)
        axes.set_xticks([x for x, _ in next(iter(series.values()))])
        axes.get_xaxis().set_major_formatter("{x:g}")
    axes.set_xlabel(labels[0], wrap=True)
    axes.set_ylabel(labels[1], wrap=True)
    axes.legend(frameon=False)
    finish(axes, title=title)
    return figure


def draw_groups(
    names: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    label: str,
    line: float | None = None,
) -> Figure:
    """Bars below each other: for each name one of each series; None leaves a gap.

    Parts of a small drop can be many times it: the axis ends at 1.5.
    """
    count = max(1, len(series))
    step = 0.9 / (count + 1)  # a line for the name, then one for each bar
    figure = new_figure(_MARGIN + 0.24 * max(1, len(names)) * (count + 1) + 0.24 * count)
    axes = figure.subplots()
    places = np.arange(len(names), dtype=float)
    for index, (name, values) in enumerate(series.items()):
        lengths = np.array([np.nan if value is None else value for value in values], float)
        colour = _COLOURS[index % len(_COLOURS)]
        axes.barh(places + (index + 0.5) * step, lengths, 0.85 * step, label=name, color=colour)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]), right=min(_LONGEST, axes.get_xlim()[1]))
    _name_above(axes, names, [0.0] * len(names), 0.08)
    if line is not None:
        axes.axvline(line, color=ORANGE, linewidth=1.4, linestyle="--")
    axes.set_xlabel(label, wrap=True)
    if count > 1:
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        figure.suptitle(title, x=0.02, ha="left", fontsize=FONT, color=INK)
        title = ""
    finish(axes, title=title, grid="x")
    return figure


def _name_above(axes: Any, names: Sequence[str], starts: Sequence[float], gap: float) -> None:
    """What bars stand for, above them; the axis itself has no names."""
    axes.set_yticks([])
    axes.invert_yaxis()
    for place, (name, start) in enumerate(zip(names, starts, strict=True)):
        axes.text(start, place - gap, f" {name}", va="bottom", ha="left")
    axes.set_ylim(len(names) - 0.3, -0.8)


def _or(value: float | None, other: float | None) -> float:
    """The value, or the other where there is none."""
    return float(value if value is not None else (other or 0.0))
