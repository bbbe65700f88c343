"""The plots of an analysis, as pictures for a page. Needs the extra `decontext[eval]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decontext.analysis.measure import Gradients
from decontext.errors import InputError
from decontext.objectives.sensitivity import Worth

_ORIGINAL, _PROTECTED = "#4a7ab5", "#c60"


def check_installed() -> None:
    """Find out before the work whether there can be plots. Raises: InputError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(
            "plots need matplotlib, which is not installed.", "Run: pip install 'decontext[eval]'"
        ) from None


def draw_maps(before: Tensor, after: Tensor, sigmas: Sequence[float], blocks: Sequence[str]) -> Any:
    """Context proportions `(sigmas, blocks)` of original and protected photo, and the fall.

    All three share one scale of colours, from 0 to the largest value.
    """
    figure = _figure(width=11, height=1.2 + 0.28 * len(sigmas))
    panels = figure.subplots(1, 3, sharey=True)
    top = max(float(before.max()), float(after.max()))
    for axes, values, title in zip(
        panels, (before, after, before - after), ("original", "protected", "fall"), strict=True
    ):
        low, colours = (-top, "RdBu_r") if title == "fall" else (0, "viridis")
        drawn = axes.imshow(values.numpy(), aspect="auto", cmap=colours, vmin=low, vmax=top)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(*_thin(blocks), rotation=90, fontsize=7)
        axes.set_yticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas], fontsize=8)
        figure.colorbar(drawn, ax=axes)
    panels[0].set_ylabel("noise level")
    return figure


def draw_gradients(gradients: Gradients) -> Any:
    """Both gradients over the noise level, and the photo's share of the two together."""
    figure = _figure(width=8.5, height=3.2)
    left, right = figure.subplots(1, 2)
    for values, name, colour in (
        (gradients.target, "target latents", _ORIGINAL),
        (gradients.context, "the photo's latents", _PROTECTED),
    ):
        left.plot(gradients.sigmas, values, marker="o", label=name, color=colour)
    left.set_yscale("log")
    left.set_ylabel("mean |gradient|")
    left.legend(frameon=False, fontsize=8)
    right.plot(gradients.sigmas, gradients.shares, marker="o", color=_PROTECTED)
    right.set_ylabel("the photo's share of both")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xlabel("noise level (an edit goes from 1 to 0)", fontsize=9)
    return figure


def draw_worths(singles: Sequence[Worth], prefixes: Sequence[Worth], chosen: str) -> Any:
    """What a step over each block alone and over the first blocks brings, and for what cost."""
    figure = _figure(width=11, height=3.6)
    left, right = figure.subplots(1, 2)
    names = [worth.name for worth in singles]
    left.bar(range(len(singles)), [100 * worth.fall for worth in singles], color=_ORIGINAL)
    left.set_xticks(*_thin(names), rotation=90, fontsize=7)
    left.set_title("a step over one block", fontsize=10)
    left.set_ylabel("expected fall over all blocks,\n% for a step of one level")
    costs, falls = [w.cost for w in prefixes], [100 * w.fall for w in prefixes]
    right.plot(costs, falls, marker="o", color=_ORIGINAL)
    for worth in prefixes:
        if worth.name == chosen:
            right.plot(worth.cost, 100 * worth.fall, "o", ms=10, mfc="none", color=_PROTECTED)
            right.annotate(
                "--blocks auto",
                (worth.cost, 100 * worth.fall),
                xytext=(8, -12),
                textcoords="offset points",
                fontsize=8,
            )
    right.set_title("a step over the first blocks", fontsize=10)
    right.set_xlabel("cost, as a part of a full pass")
    right.set_xlim(0, 1.05)
    right.set_ylim(bottom=0)
    return figure


def to_picture(figure: Any) -> Tensor:
    """A plot as a picture `(1, 3, height, width)` in [0, 1]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.array(canvas.buffer_rgba())[..., :3]
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255)


def _figure(*, width: float, height: float) -> Any:
    """Without pyplot, which would keep every figure and choose a window system."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _thin(names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Ticks for at most some thirty of the names."""
    every = -(-len(names) // 30)
    places = list(range(0, len(names), every))
    return places, [names[place] for place in places]
