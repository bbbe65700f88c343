"""The descent on functions whose minimum is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from decontext.errors import AttentionError
from decontext.pgd import Step, add_gradient_, decay, descend, project_, surround
from decontext.photo.levels import quantise

EPSILON = 8 / 255


def _photo(seed: int = 0) -> Tensor:
    levels = torch.randint(0, 256, (1, 3, 12, 9), generator=torch.Generator().manual_seed(seed))
    return levels.float() / 255


def _run(function: object, original: Tensor, **options: object) -> list[Step]:
    options = {"epsilon": EPSILON, "steps": 30, "step_size": EPSILON / 5} | options
    return list(descend(function, original, generator=torch.Generator(), **options))  # type: ignore[arg-type]


def test_descent_reaches_the_corner_of_the_budget_that_minimises_a_linear_function() -> None:
    original = _photo()
    direction = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    last = _run(lambda image: (image * direction).sum(), original)[-1]
    low, high = surround(original, EPSILON)
    best = torch.where(direction > 0, low, high)
    torch.testing.assert_close(last.best, best, atol=1e-6, rtol=0)


@given(epsilon=st.floats(1 / 255, 1.0), values=st.lists(st.floats(-2, 3), min_size=12, max_size=12))
def test_projection_stays_within_budget_and_range_and_moves_nothing_inside(
    epsilon: float, values: list[float]
) -> None:
    original = _photo()[:, :, :2, :2]
    image = torch.tensor(values).view(1, 3, 2, 2)
    box = surround(original, epsilon)
    projected = project_(image.clone(), original, epsilon)
    assert bool(((projected - original).abs() <= epsilon + 1e-6).all())
    assert float(projected.min()) >= 0
    assert float(projected.max()) <= 1
    inside = (image >= box[0]) & (image <= box[1])
    assert torch.equal(projected[inside], image[inside])


def test_every_iterate_stays_within_the_budget() -> None:
    original = _photo()
    for step in descend(
        lambda image: -(image - original).square().sum(),
        original,
        epsilon=EPSILON,
        steps=12,
        step_size=EPSILON,
        random_start=1.0,
        generator=torch.Generator().manual_seed(3),
    ):
        assert float(step.perturbation.abs().max()) <= EPSILON + 1e-6
        assert step.original is not step.image


def test_best_iterate_is_kept_when_later_ones_are_worse() -> None:
    original = torch.full((1, 3, 4, 4), 0.5)
    calls = iter([0.5, 0.1, 0.9, 0.8])
    steps = _run(
        lambda image: image.sum(),
        original,
        steps=3,
        check=lambda image: torch.tensor(next(calls)),
        check_every=1,
    )
    assert [round(step.best_value, 6) for step in steps] == [0.1, 0.1, 0.1]
    first_move = EPSILON / 5
    torch.testing.assert_close(steps[-1].best, original - first_move, atol=1e-6, rtol=0)


def test_start_value_is_the_check_at_the_original() -> None:
    original = torch.full((1, 3, 4, 4), 0.25)
    steps = _run(lambda image: image.mean(), original, random_start=1.0)
    assert steps[0].start_value == pytest.approx(0.25)


def test_same_generator_gives_the_same_picture() -> None:
    original = _photo()

    def run(seed: int) -> Tensor:
        target = torch.rand(original.shape, generator=torch.Generator().manual_seed(9))
        steps = descend(
            lambda image: (image - target).abs().sum(),
            original,
            epsilon=EPSILON,
            steps=5,
            step_size=EPSILON / 5,
            random_start=1.0,
            generator=torch.Generator().manual_seed(seed),
        )
        return list(steps)[-1].image.clone()

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_grey_photo_changes_alike_in_all_channels() -> None:
    grey = _photo()[:, :1].expand(1, 3, 12, 9).contiguous()
    weights = torch.tensor([1.0, -3.0, 0.5]).view(1, 3, 1, 1)
    best = _run(lambda image: (image * weights).sum(), grey, shared_channels=True)[-1].best
    assert torch.equal(best[:, 0], best[:, 1])
    assert torch.equal(best[:, 0], best[:, 2])


@pytest.mark.parametrize(
    ("schedule", "last"), [("constant", 1.0), ("linear", 0.1), ("cosine", 0.1)]
)
def test_step_size_falls_as_the_schedule_says(schedule: str, last: float) -> None:
    sizes = [decay(schedule, index, 20) for index in range(1, 21)]  # type: ignore[arg-type]
    assert sizes[0] == pytest.approx(1.0)
    assert sizes[-1] == pytest.approx(last)
    assert sizes == sorted(sizes, reverse=True)


def test_closing_the_generator_stops_the_work() -> None:
    calls = []

    def function(image: Tensor) -> Tensor:
        calls.append(1)
        return image.sum()

    steps = descend(
        function, _photo(), epsilon=EPSILON, steps=50, step_size=0.01, generator=torch.Generator()
    )
    next(steps)
    done = len(calls)
    steps.close()  # type: ignore[attr-defined]
    assert len(calls) == done


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image: torch.tensor(1.0), "no gradient reaches the pixels"),
        (lambda image: (image * 0).sum(), "gradient to the pixels is zero"),
        (lambda image: (image * math.nan).sum(), "not finite"),
    ],
)
def test_useless_gradient_is_an_error(function: object, message: str) -> None:
    with pytest.raises(AttentionError, match=message):
        _run(function, _photo())


def test_each_gradient_counts_alike_whatever_its_size() -> None:
    velocity = torch.zeros(1, 3, 4, 4)
    small = torch.full_like(velocity, 1e-9)
    add_gradient_(velocity, small, 0.9)
    add_gradient_(velocity, small * 1e12, 0.9)
    torch.testing.assert_close(velocity, torch.full_like(velocity, 1.9))


def test_steps_are_bitwise_those_of_whole_pictures() -> None:
    """Against the method written down without strips: ordinary photos lose nothing to them."""
    original = torch.rand((1, 3, 700, 900), generator=torch.Generator().manual_seed(0))
    original = original.mul(255).round().div(255)
    weights = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    options = {"epsilon": EPSILON, "steps": 4, "step_size": EPSILON / 3, "random_start": 0.5}

    def function(image: Tensor) -> Tensor:
        return (image * weights).sin().sum()

    generator = torch.Generator().manual_seed(2)
    *_, last = descend(function, original, generator=generator, **options)  # type: ignore[arg-type]
    generator.manual_seed(2)
    low, high = surround(original, EPSILON)
    noise = torch.empty(original.shape).uniform_(-EPSILON / 2, EPSILON / 2, generator=generator)
    image, velocity = (noise + original).clamp(low, high), torch.zeros_like(original)
    for index in range(1, 5):
        leaf = image.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf), leaf)
        mean = float(torch.linalg.vector_norm(gradient, ord=1)) / gradient.numel()
        velocity.mul_(0.9).add_(gradient, alpha=1 / mean)
        image = image.add(velocity.sign(), alpha=-EPSILON / 3 * decay("cosine", index, 4))
        image = image.clamp(low, high)
    assert torch.equal(last.image, image)


def test_large_photo_ends_on_the_same_levels_with_less_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = _photo(3)
    weights = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    ordinary = _run(lambda image: (image * weights).sum(), original)[-1]
    monkeypatch.setattr("decontext.pgd.LARGE_PHOTO", 16)
    large = _run(lambda image: (image * weights).sum(), original)[-1]
    assert large.kept.dtype == torch.uint8 and ordinary.kept.dtype == torch.float32
    assert torch.equal(large.best, quantise(ordinary.best, original, EPSILON))
    assert torch.equal(large.best, quantise(large.best, original, EPSILON))


def test_levels_to_go_on_from_become_the_memory_of_the_best_of_a_large_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = _photo(3)
    weights = torch.randn(original.shape, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr("decontext.pgd.LARGE_PHOTO", 16)
    start = _run(lambda image: (image * weights).sum(), original)[0].best.mul(255).round()
    kept = start.to(torch.uint8)
    last = _run(lambda image: (image * weights).sum(), original, start=kept)[-1]
    other = _run(lambda image: (image * weights).sum(), original, start=start.div(255))[-1]
    assert last.kept.data_ptr() == kept.data_ptr() != other.kept.data_ptr()
    assert torch.equal(last.best, other.best)
