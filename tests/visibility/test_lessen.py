"""The search for the least visible change, on functions that need no editor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from decontext.errors import AttentionError
from decontext.pgd import Step
from decontext.photo.images import levels
from decontext.visibility.demands import Demand, Demands
from decontext.visibility.distance import VisibleDistance
from decontext.visibility.lessen import FIRST_STEP, lessen


@pytest.fixture(scope="module")
def photo() -> Tensor:
    noise = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    return (noise * 200 + 20).round() / 255


def _seen(image: Tensor, _kind: str = "saved") -> Tensor:
    """A stand-in for a proportion: falls as the left half gets darker than the right one."""
    return torch.exp(20 * (image[..., :32].mean() - image[..., 32:].mean())) / 2


def _search(photo: Tensor, function: Any = _seen, **options: Any) -> Iterator[Step]:
    fall = options.pop("fall", 0.5)
    settings: dict[str, Any] = {
        "epsilon": 16 / 255,
        "steps": 60,
        "generator": torch.Generator().manual_seed(0),
        "judge": lambda image: float(_seen(image)),
    }
    return lessen(function, photo, Demands({"saved": Demand(1 - fall)}), **settings | options)


def _run(photo: Tensor, **options: Any) -> list[Step]:
    return list(_search(photo, **options))


def test_wanted_fall_is_reached_and_hardly_passed(photo: Tensor) -> None:
    last = _run(photo)[-1]
    fall = 1 - last.best_value / last.start_value
    assert 0.49 <= fall < 0.54
    assert float(_seen(last.best)) == pytest.approx(last.best_value)


def test_greater_fall_is_more_visible(photo: Tensor) -> None:
    measure = VisibleDistance(photo)
    little, much = (float(measure(_run(photo, fall=f)[-1].best - photo)) for f in (0.2, 0.6))
    assert 0 < little < much / 2


def test_steps_stay_large_where_the_editor_hardly_answers(photo: Tensor) -> None:
    """An editor may let a change pass unanswered until it is of a certain size."""

    def stubborn(image: Tensor, _kind: str = "saved") -> Tensor:
        return 0.5 + 0.01 * _seen(image)

    sizes = [s.step_size for s in _run(photo, function=stubborn, judge=lambda i: 0.5, steps=100)]
    assert len(sizes) == 100
    assert max(sizes[60:80]) > 0.9 * FIRST_STEP

    def willing(image: Tensor, _kind: str = "saved") -> Tensor:
        return _seen(image) ** 3

    steps = _run(photo, function=willing, judge=lambda image: float(willing(image)))
    answering = [step.step_size for step in steps]
    assert max(answering[30:]) < 0.5 * FIRST_STEP


def test_search_ends_where_nothing_is_gained_any_more(photo: Tensor) -> None:
    steps = _run(photo, steps=400)
    assert steps[-1].index == steps[-1].steps == len(steps) < 400


def test_best_is_on_whole_levels_and_within_the_cap(photo: Tensor) -> None:
    last = _run(photo, fall=0.9, epsilon=3.7 / 255)[-1]
    assert 1 <= levels(photo, last.best) <= 3
    assert torch.equal((last.best * 255).round() / 255, last.best)
    assert float(last.best.min()) >= 0 and float(last.best.max()) <= 1


def test_what_cannot_be_reached_is_come_as_close_to_as_possible(photo: Tensor) -> None:
    last = _run(photo, fall=0.99, epsilon=1 / 255, steps=20)[-1]
    assert last.start_value * 0.01 < last.best_value < last.start_value


def test_grey_photo_stays_grey(photo: Tensor) -> None:
    grey = photo[:, :1].expand_as(photo)
    best = _run(grey, shared_channels=True, steps=10)[-1].best
    assert levels(grey, best) > 0
    assert torch.equal(best[:, 0], best[:, 1]) and torch.equal(best[:, 0], best[:, 2])


def test_same_seed_gives_the_same_picture_and_a_start_is_gone_on_from(photo: Tensor) -> None:
    first, again = _run(photo, steps=10)[-1].best, _run(photo, steps=10)[-1].best
    assert torch.equal(first, again)
    on = _run(photo, steps=1, start=first)[-1]
    assert on.value == pytest.approx(float(_seen(first)))


def test_search_can_be_cancelled_between_steps(photo: Tensor) -> None:
    steps = _search(photo)
    assert next(steps).index == 1
    steps.close()  # type: ignore[attr-defined]
    assert list(steps) == []


def test_function_that_does_not_see_the_pixels_is_refused(photo: Tensor) -> None:
    with pytest.raises(AttentionError, match="no gradient reaches the pixels"):
        list(_search(photo, lambda image, kind: torch.tensor(0.5), steps=2))
