"""Plots are drawn from any summaries, empty ones too."""

import sys

import pytest

from decontext.errors import InputError
from decontext.evaluation.charts import draw_bars, draw_groups, draw_lines, to_image
from decontext.evaluation.summary import summarise

NOTHING = summarise([None], ["a"])
SOME = summarise([0.2, 0.4, 0.5], ["a", "b", "b"])


def test_bars_have_their_lengths_and_leave_out_what_is_missing():
    axes = draw_bars({"ours": SOME, "none": NOTHING}, title="t", label="identity", line=0.3).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [pytest.approx(SOME.mean)]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ours"]


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
        image = to_image(figure)
        assert image.shape[:2] == (1, 3) and image.shape[-1] == 770
        assert 0 <= image.min() < image.max() == 1


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"matplotlib.*decontext\[eval\]"):
        draw_bars({}, title="t", label="x")
