"""How figures are written: digits near a threshold, signs, intervals, and what is left out."""

from __future__ import annotations

import pytest

from decontext.evaluation.summary import summarise
from decontext.evaluation.tables import drop_empty, number, number_beside, signed, with_interval


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.361, "0.361"), (0.3634, "0.3634"), (0.3626, "0.3626"), (0.5, "0.50"), (-0.001, "0.00")],
)
def test_figure_has_as_many_digits_as_tell_it_from_the_threshold(value: float, said: str) -> None:
    assert number_beside(value, 0.363) == said


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert [signed(value) for value in (-0.004, 0.004, -0.4, 0.4)] == [
        "0.00", "0.00", "-0.40", "+0.40",
    ]  # fmt: skip
    assert number(-0.0001, 3) == "0.000"


def test_interval_says_how_many_photos_it_is_of_and_whether_they_are_few() -> None:
    two = summarise([0.2, 0.4, None], ["a", "b", "c"])
    assert with_interval(two) == "0.30 [0.20, 0.40] n=2 only"
    many = summarise([0.3] * 6, list("abcdef"))
    assert with_interval(many) == "0.30 [0.30, 0.30] n=6"
    assert with_interval(summarise([0.3], ["a"])) == "0.30"


def test_rows_and_columns_in_which_nothing_was_measured_are_left_out() -> None:
    table = [("after", "web", "lpips"), ("jpeg", "1", "–"), ("redraw", "–", "–")]
    assert drop_empty(table) == [("after", "web"), ("jpeg", "1")]
    assert drop_empty(table[:1]) == [("after", "web", "lpips")]
