"""Several objectives as one: against single ones, and against what is wanted of them together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decontext.objectives import Together, together, worst_of

ORIGINAL = torch.full((1, 3, 4, 4), 0.5)


def weighted(place: int, scale: float):
    """An objective that falls with one pixel, of any size."""

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        return scale * image[0, 0, 0, place] ** 2

    return objective


def slope(objective, image: Tensor) -> tuple[float, Tensor]:
    image = image.clone().requires_grad_()
    value = objective(image, torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(value, image)
    return float(value.detach()), gradient


def test_one_objective_stays_as_it_is() -> None:
    alone = weighted(0, 2.0)
    assert together([alone], ORIGINAL) is alone


def test_editors_of_unlike_proportions_pull_alike_at_first() -> None:
    both = Together([weighted(0, 1.0), weighted(1, 1000.0)], ORIGINAL)
    _, gradient = slope(both, ORIGINAL)
    assert float(gradient[0, 0, 0, 0]) == pytest.approx(float(gradient[0, 0, 0, 1]))
    assert both.pull == [0.5, 0.5]


def test_value_is_the_mean_of_the_originals_where_nothing_changed() -> None:
    value, _ = slope(Together([weighted(0, 1.0), weighted(1, 3.0)], ORIGINAL), ORIGINAL)
    assert value == pytest.approx((0.25 + 0.75) / 2)


def test_the_editor_that_still_sees_most_pulls_hardest() -> None:
    both = Together([weighted(0, 1.0), weighted(1, 1.0)], ORIGINAL)
    half = ORIGINAL.clone()
    half[0, 0, 0, 0] /= 2  # a quarter is left of the first
    for _ in range(10):
        _, gradient = slope(both, half)
    first, second = both.pull
    assert second > 0.95 > first
    assert float(gradient[0, 0, 0, 1]) > 10 * float(gradient[0, 0, 0, 0])


def test_gradient_of_two_alike_is_that_of_one() -> None:
    one = weighted(0, 2.0)
    value, gradient = slope(Together([one, one], ORIGINAL), ORIGINAL)
    assert value == pytest.approx(slope(one, ORIGINAL)[0])
    assert torch.allclose(gradient, slope(one, ORIGINAL)[1])


def test_without_gradient_only_the_value_is_made() -> None:
    both = Together([weighted(0, 1.0), weighted(1, 1.0)], ORIGINAL)
    with torch.no_grad():
        value = both(ORIGINAL.clone(), torch.Generator())
    assert not value.requires_grad
    assert float(value) == pytest.approx(0.25)


def test_a_picture_is_judged_by_the_editor_that_it_does_worst_against() -> None:
    checks = [lambda image: image[0, 0, 0, 0] * 4, lambda image: image[0, 0, 0, 1] * 2]
    check = worst_of(checks)
    assert float(check(ORIGINAL)) == pytest.approx(1.5)  # the mean of 2 and 1
    better = ORIGINAL.clone()
    better[0, 0, 0, 0] = 0.05
    assert float(check(better)) == pytest.approx(1.5)  # the second is as before
    better[0, 0, 0, 1] = 0.25
    assert float(check(better)) == pytest.approx(0.75)
