"""The plots of an analysis. Needs the extra `decontext[eval]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from decontext.analysis.measure import Gradients
from decontext.objectives.sensitivity import Worth
from decontext.report.plot import BLUE, FONT, ORANGE, finish, new_figure


def draw_maps(before: Tensor, after: Tensor, sigmas: Sequence[float], blocks: Sequence[str]) -> Any:
    """Context proportions `(sigmas, blocks)` of original and protected photo, and the fall.

    All three share one scale of colours, from 0 to the largest value.
    """
    figure = new_figure(3 * (0.55 + 0.21 * len(sigmas)) + 0.9)
    panels = figure.subplots(3, 1, sharex=True)
    top = max(float(before.max()), float(after.max()))
    for axes, values, title in zip(
        panels,
        (before, after, before - after),
        ("the original", "the protected photo", "by how much it fell"),
        strict=True,
    ):
        low, colours = (-top, "RdBu_r") if title.startswith("by") else (0, "viridis")
        drawn = axes.imshow(values.numpy(), aspect="auto", cmap=colours, vmin=low, vmax=top)
        axes.set_yticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
        axes.set_ylabel("noise level")
        bar = figure.colorbar(drawn, ax=axes)
        finish(axes, title=title, grid="")
        finish(bar.ax, grid="")
    panels[-1].set_xticks(*_thin(blocks), rotation=90)
    return figure


def draw_gradients(gradients: Gradients) -> Any:
    """Both gradients over the noise level, and the photo's share of the two together."""
    figure = new_figure(5.2)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for values, name, colour in (
        (gradients.target, "the picture being made", BLUE),
        (gradients.context, "the photo", ORANGE),
    ):
        top.plot(gradients.sigmas, values, marker="o", label=name, color=colour)
    top.set_yscale("log")
    top.set_ylabel("mean |gradient|")
    top.legend(frameon=False)
    bottom.plot(gradients.sigmas, gradients.shares, marker="o", color=ORANGE)
    bottom.set_ylabel("the photo's share")
    bottom.set_ylim(0, 1)
    bottom.set_xlabel("noise level (an edit goes from 1 to 0)")
    for axes in (top, bottom):
        finish(axes)
    return figure


def draw_worths(singles: Sequence[Worth], prefixes: Sequence[Worth], chosen: str) -> Any:
    """What a step over each block alone and over the first blocks brings, and for what cost."""
    figure = new_figure(6.4)
    top, bottom = figure.subplots(2, 1)
    names = [worth.name for worth in singles]
    top.bar(range(len(singles)), [100 * worth.fall for worth in singles], color=BLUE)
    top.set_xticks(*_thin(names), rotation=90)
    top.set_ylabel("expected fall, %")
    costs, falls = [w.cost for w in prefixes], [100 * w.fall for w in prefixes]
    bottom.plot(costs, falls, marker="o", color=BLUE)
    for worth in prefixes:
        if worth.name == chosen:
            place = worth.cost, 100 * worth.fall
            bottom.plot(*place, "o", ms=12, mfc="none", mew=2, color=ORANGE)
            left = worth.cost > 0.6
            bottom.annotate(
                "--blocks auto",
                place,
                xytext=(-12 if left else 12, -14),
                textcoords="offset points",
                ha="right" if left else "left",
            )
    bottom.set_xlabel("cost, as a part of a full pass")
    bottom.set_ylabel("expected fall, %")
    bottom.set_xlim(0, 1.05)
    bottom.set_ylim(bottom=0)
    finish(top, title="a step over one block", grid="y")
    finish(bottom, title="a step over the first blocks")
    return figure


def _thin(names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Ticks for at most some fifteen of the names, so that none is written over another."""
    every = -(-len(names) * FONT // 160)
    places = list(range(0, len(names), max(1, int(every))))
    return places, [names[place] for place in places]
