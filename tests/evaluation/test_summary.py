"""Means, intervals and shares."""

import math

import numpy as np
import pytest

from decontext.evaluation.summary import summarise


def test_figures_of_a_summary():
    found = summarise([0.1, 0.5, None, 0.6], ["a", "a", "b", "b"], threshold=0.5)
    assert (found.count, found.missing) == (3, 1)
    assert found.mean == pytest.approx(0.4)
    assert found.spread == pytest.approx(np.std([0.1, 0.5, 0.6]))
    assert found.worst == 0.6
    assert found.share == 0.5  # of all four: a face that was not found is nobody's
    assert found.low <= found.mean <= found.high


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        people = rng.normal(0, 1, 25)
        values = np.repeat(people, 4) + rng.normal(0, 0.2, 100)
        found = summarise(list(values), list(np.repeat(np.arange(25), 4)), seed=trial)
        covered += found.low <= 0 <= found.high
    assert 85 <= covered <= 99


def test_interval_widens_when_figures_belong_together():
    values = list(np.random.default_rng(1).normal(0, 1, 10).repeat(10))
    apart = summarise(values, list(range(100)))
    together = summarise(values, [index // 10 for index in range(100)])
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_nothing_and_one_group_give_no_interval():
    assert summarise([], []).to_dict() == dict.fromkeys(summarise([], []).to_dict()) | {
        "count": 0,
        "missing": 0,
        "groups": 0,
    }
    single = summarise([0.2, 0.4], ["a", "a"])
    assert (single.low, single.high) == (None, None)
    assert single.mean == pytest.approx(0.3)
    missing = summarise([None, math.nan], ["a", "b"], threshold=0.3)
    assert (missing.mean, missing.worst, missing.share) == (None, None, 0)


def test_values_without_groups_are_a_mistake():
    with pytest.raises(ValueError, match="2 values have 1 groups"):
        summarise([1.0, 2.0], ["a"])
