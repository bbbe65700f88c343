"""Plots are drawn from any summaries, empty ones too."""

import io
import sys

import pytest
from PIL import Image

from decontext.errors import InputError
from decontext.evaluation.charts import DPI, draw_bars, draw_groups, draw_lines
from decontext.evaluation.summary import summarise
from decontext.report.plot import to_plot

NOTHING = summarise([None], ["a"])
SOME = summarise([0.2, 0.4, 0.5], ["a", "b", "b"])


def test_bars_have_their_lengths_and_leave_out_what_is_missing():
    axes = draw_bars({"ours": SOME, "none": NOTHING}, title="t", label="identity", line=0.3).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [pytest.approx(SOME.mean)]
    assert [text.get_text().strip() for text in axes.texts] == ["ours"]


def test_lines_go_through_the_means():
    points = [(25.0, SOME), (50.0, NOTHING), (100.0, SOME)]
    figure = draw_lines(
        {"protected": points, "nothing": [(25.0, NOTHING)]},
        title="t",
        labels=("steps", "identity"),
        line=0.3,
        logarithmic=True,
    )
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [25, 100]
    assert list(line.get_ydata()) == pytest.approx([SOME.mean] * 2)


def test_plots_of_nothing_are_pictures_too():
    figures = [
        draw_bars({}, title="t", label="x"),
        draw_lines({"a": [(1.0, NOTHING)]}, title="t", labels=("x", "y"), logarithmic=True),
        draw_groups(["jpeg-75"], {"web": [None], "off": [0.5]}, title="t", label="x", line=1.0),
    ]
    for figure in figures:
        plot = to_plot(figure, alt="a plot")
        assert plot.svg.startswith("<svg") and plot.width == 422
        content = io.BytesIO()
        figure.savefig(content, dpi=DPI)
        with Image.open(content) as image:
            assert image.width == 770


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"matplotlib.*decontext\[eval\]"):
        draw_bars({}, title="t", label="x")
