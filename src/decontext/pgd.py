"""Projected sign-gradient descent on the pixels of a photo, as a generator of steps.

It is handed a function of a picture and knows no editor. The perturbation lives at the photo's own
size; at 12 megapixels one copy of it takes 144 MB, so everything here happens in place, and of
photos above `LARGE_PHOTO` pixels less is kept: the velocity in bfloat16, the best iterate as whole
8-bit levels, which is what is saved of it.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from decontext.errors import AttentionError
from decontext.notation import LEVELS
from decontext.photo.levels import quantise, strips
from decontext.settings import LARGE_PHOTO, Schedule

FINAL_SHARE = 0.1
"""What a falling schedule leaves of the first step size in the last step."""

CHECK_EVERY = 10


@dataclass(frozen=True, eq=False)
class Step:
    """What is known after a step.

    `image` and `best` are the optimiser's own memory, with pixels `(1, 3, height, width)` in
    [0, 1]: they hold until the generator is resumed. Clone what has to last.

    Attributes:
        index: number of steps done, 1 to `steps`.
        steps: number of steps in all.
        value: of the function in this step, for this step's random draws.
        start_value: of the check, at the original.
        best_value: of the check, lowest so far; `start_value` at first.
        step_size: change of a colour value in this step, a fraction of the full range.
        seconds: since the descent began.
        image: the current iterate.
        kept: the iterate that `best_value` belongs to; of large photos its 8-bit levels, uint8.
        original: the photo before.
    """

    index: int
    steps: int
    value: float
    start_value: float
    best_value: float
    step_size: float
    seconds: float
    image: Tensor
    kept: Tensor
    original: Tensor

    @property
    def best(self) -> Tensor:
        """The iterate that `best_value` belongs to; of large photos a new tensor."""
        return read_kept(self.kept)

    @property
    def perturbation(self) -> Tensor:
        """Current iterate minus original, a new tensor."""
        return self.image - self.original


def descend(
    function: Callable[[Tensor], Tensor],
    original: Tensor,
    *,
    epsilon: float,
    steps: int,
    step_size: float,
    momentum: float = 0.9,
    schedule: Schedule = "cosine",
    random_start: float = 0.0,
    generator: torch.Generator,
    shared_channels: bool = False,
    check: Callable[[Tensor], Tensor] | None = None,
    check_every: int = CHECK_EVERY,
    start: Tensor | None = None,
    room: Tensor | None = None,
) -> Iterator[Step]:
    """Minimise a function of a picture within an L-infinity budget around the original.

    A function with random draws gives noisy values, and the lowest of them is luck. So the best
    iterate is judged by `check`, a function whose draws are fixed, at the original, every
    `check_every` steps and after the last step.

    Args:
        function: picture to scalar tensor, differentiable.
        original: `(1, 3, height, width)` float32 in [0, 1]; the work is done on its device.
        epsilon: budget, a fraction of the full range.
        steps: number of steps.
        step_size: change of a colour value in the first step, same unit.
        momentum: weight of earlier gradients, each divided by its mean absolute value.
        schedule: how the step size falls: "constant", or to a tenth "linear" or "cosine".
        random_start: the start is uniform within this fraction of epsilon.
        generator: of the start, on the CPU; the function brings its own.
        shared_channels: change the three channels alike, for a grey photo.
        check: picture to scalar tensor, run without gradient; `function` where None.
        check_every: steps between checks.
        start: picture within the budget to go on from, like the original; itself the best so far.
            Of a large photo given as 8-bit levels, uint8, its memory holds the best from then on.
        room: which part of the budget each place may use, `(1, 1, height, width)` in [0, 1]; all of
            it where None.

    Yields: a `Step` after every step.
    Raises:
        AttentionError: no gradient, one of zeros, or one that is not finite.
    Source: arXiv 2512.16625, eq. 10.
    Differs from the original code: momentum, schedule, random start and best iterate are added;
    the picture is float32, there bfloat16, which cannot hold small steps.
    """
    began = time.perf_counter()
    judge = check or function
    pixels = original.detach()[:, :1] if shared_channels else original.detach()
    large = pixels.shape[-2] * pixels.shape[-1] > LARGE_PHOTO
    start_value = best_value = _judge(judge, pixels, original)
    first = pixels if start is None else read_kept(start)[:, : pixels.shape[1]]
    if start is not None:
        best_value = _judge(judge, first, original)
    if large and start is not None and start.dtype == torch.uint8:
        best = start[:, : pixels.shape[1]]
    else:
        best = _keep(first, pixels, epsilon) if large else first.clone()
    image = _draw_start(first, epsilon * random_start, generator)
    del first, start  # of a large photo they are as large as everything else
    project_(image, pixels, epsilon, room)
    image.requires_grad_()
    velocity = torch.zeros_like(pixels, dtype=torch.bfloat16 if large else pixels.dtype)
    for index in range(1, steps + 1):
        size = step_size * decay(schedule, index, steps)
        value, gradient = _differentiate(function, image, original)
        with torch.no_grad():
            add_gradient_(velocity, gradient, momentum)
            for rows in strips(image):
                image[..., rows, :].sub_(velocity[..., rows, :].sign(), alpha=size)
            project_(image, pixels, epsilon, room)
        del gradient
        if index % check_every == 0 or index == steps:
            checked = _judge(judge, image.detach(), original)
            if checked < best_value:
                best_value = checked
                best.copy_(_keep(image, pixels, epsilon) if large else image.detach())
        yield Step(
            index=index,
            steps=steps,
            value=value,
            start_value=start_value,
            best_value=best_value,
            step_size=size,
            seconds=time.perf_counter() - began,
            image=image.detach().expand_as(original),
            kept=best.expand_as(original),
            original=original,
        )


def surround(original: Tensor, epsilon: float | Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest pixels within epsilon of the original and within [0, 1].

    An epsilon may differ from place to place: a tensor that broadcasts to the original.
    """
    return (original - epsilon).clamp_(min=0), (original + epsilon).clamp_(max=1)


def project_(image: Tensor, original: Tensor, epsilon: float, room: Tensor | None = None) -> Tensor:
    """Move every pixel into what `surround` allows, in place: the nearest picture that does.

    `room` is which part of epsilon each place may use, `(1, 1, height, width)`; None: all of it.

    Strip by strip: the bounds of the whole photo would take twice its memory.
    """
    for rows in strips(image):
        part = image[..., rows, :]
        reach = epsilon if room is None else epsilon * room[..., rows, :]
        torch.clamp(part, *surround(original[..., rows, :], reach), out=part)
    return image


def decay(schedule: Schedule, index: int, steps: int) -> float:
    """Part of the first step size that step `index` of 1..`steps` takes, (0, 1]."""
    progress = (index - 1) / max(steps - 1, 1)
    if schedule == "linear":
        return 1 - (1 - FINAL_SHARE) * progress
    if schedule == "cosine":
        return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2
    return 1.0


def add_gradient_(velocity: Tensor, gradient: Tensor, momentum: float) -> None:
    """Let the velocity decay and add the gradient, divided by its mean absolute value.

    Raises:
        AttentionError: the gradient is zero everywhere or not finite.
    """
    mean = check_gradient(gradient)
    if velocity.dtype == gradient.dtype:
        velocity.mul_(momentum).add_(gradient, alpha=1 / mean)
        return
    for rows in strips(velocity):
        part = velocity[..., rows, :]
        part.copy_(
            part.to(gradient.dtype).mul_(momentum).add_(gradient[..., rows, :], alpha=1 / mean)
        )


def check_gradient(gradient: Tensor) -> float:
    """Its mean absolute value.

    Raises:
        AttentionError: the gradient is zero everywhere or not finite.
    """
    # A norm needs no copy of the gradient, and is not finite where any part of it is not.
    mean = float(torch.linalg.vector_norm(gradient, ord=1)) / gradient.numel()
    if not math.isfinite(mean):
        raise AttentionError(
            "the gradient to the pixels is not finite; it must be to find a perturbation.",
            "Try another precision.",
        )
    if mean == 0:
        raise AttentionError(
            "the gradient to the pixels is zero; the editor does not look at this photo.",
            "Choose other blocks or another editor.",
        )
    return mean


def _draw_start(pixels: Tensor, reach: float, generator: torch.Generator) -> Tensor:
    """The original plus uniform noise within the reach; drawn on the CPU, the same everywhere."""
    if reach == 0:
        return pixels.clone()
    noise = torch.empty(pixels.shape, dtype=pixels.dtype)
    noise.uniform_(-reach, reach, generator=generator)
    return noise.to(pixels.device).add_(pixels)


def _differentiate(
    function: Callable[[Tensor], Tensor], image: Tensor, original: Tensor
) -> tuple[float, Tensor]:
    """Value and gradient at an image of one or three channels."""
    with torch.enable_grad():
        value = function(image.expand_as(original))
    if not value.requires_grad:
        raise AttentionError("no gradient reaches the pixels; the function must depend on them.")
    (gradient,) = torch.autograd.grad(value, image, allow_unused=True)
    if gradient is None:
        raise AttentionError("no gradient reaches the pixels; the function must depend on them.")
    # A sum's gradient is one number seen many times: it gets memory of its own.
    return float(value.detach()), gradient.contiguous()


@torch.no_grad()
def _judge(check: Callable[[Tensor], Tensor], image: Tensor, original: Tensor) -> float:
    return float(check(image.expand_as(original)))


@torch.no_grad()
def _keep(image: Tensor, original: Tensor, epsilon: float) -> Tensor:
    """The picture as it would be saved, rounded within the budget: 8-bit levels, uint8."""
    result = torch.empty(image.shape, dtype=torch.uint8, device=image.device)
    for rows in strips(image):
        rounded = quantise(image[..., rows, :], original[..., rows, :], epsilon)
        result[..., rows, :] = rounded.mul_(LEVELS).round_().to(torch.uint8)
    return result


def read_kept(kept: Tensor) -> Tensor:
    """A picture that was kept as it is, or as 8-bit levels, in [0, 1]."""
    return kept.float().div_(LEVELS) if kept.dtype == torch.uint8 else kept.detach()
