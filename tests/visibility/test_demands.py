"""What is wanted of each kind of copy: the weakest presses hardest."""

from __future__ import annotations

from collections import Counter

import pytest

from decontext.visibility.demands import Demand, Demands


def _demands(bound: float = 60.0) -> Demands:
    return Demands({"saved": Demand(0.4), "cut": Demand(0.6, bound=bound)})


def _run(demands: Demands, shown: dict[str, float], steps: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _ in range(steps):
        kind = demands.draw()
        counts[kind] += 1
        demands.learn(kind, shown[kind])
    return counts


def test_kind_that_shows_too_much_comes_most_often_and_none_is_forgotten() -> None:
    counts = _run(_demands(), {"saved": 0.3, "cut": 0.9}, 60)
    assert counts["cut"] > 3 * counts["saved"] > 0


def test_it_is_far_until_half_of_the_way_is_made() -> None:
    demands = _demands()
    assert demands.far
    demands.learn("saved", 0.7)
    assert demands.far
    demands.learn("saved", 0.3)
    demands.learn("saved", 0.3)
    assert not demands.far


def test_pressure_against_the_distance_grows_until_all_is_reached() -> None:
    demands = _demands()
    first = demands.weight
    _run(demands, {"saved": 0.9, "cut": 0.9}, 12)
    pressed = demands.weight
    assert pressed < first / 2
    assert not demands.reached
    _run(demands, {"saved": 0.3, "cut": 0.3}, 12)
    assert demands.reached and demands.reached_as_saved
    assert demands.weight > pressed


def test_kind_that_is_too_dear_is_no_longer_waited_for() -> None:
    demands = _demands(bound=4.0)
    _run(demands, {"saved": 0.3, "cut": 0.95}, 30)
    assert demands.reached
    assert demands.excess(0.3) < 0
    assert demands.weight > 0.3  # and nothing is paid for it


def test_change_is_not_made_weaker_while_copies_show_too_much() -> None:
    demands = _demands()
    assert demands.excess(1.0) == pytest.approx(0.9163, abs=1e-3)
    _run(demands, {"saved": 0.3, "cut": 0.7}, 8)
    assert demands.excess(0.3) == 0
    _run(demands, {"saved": 0.3, "cut": 0.5}, 8)
    assert demands.excess(0.3) < 0


def test_value_that_is_not_finite_counts_as_nothing_gained() -> None:
    demands = _demands()
    demands.learn("saved", float("nan"))
    assert not demands.reached_as_saved and 0 < demands.weight < 1
