"""Controls: noise of the whole budget that nothing was optimised for."""

import time
from collections.abc import Generator

import torch
from torch import Tensor

from decontext.editors import Editor
from decontext.notation import LEVELS
from decontext.objectives.context_proportion import context_proportion
from decontext.objectives.draws import CHECK_SEED, choose_passes
from decontext.pgd import Step
from decontext.photo.images import quantise
from decontext.settings import ProtectSettings


def control_noise(
    name: str, photo: Tensor, *, epsilon: float, generator: torch.Generator, grey: bool = False
) -> Tensor:
    """The photo with noise of the whole budget that nothing was optimised for.

    "random-sign": every colour value changed by as many whole levels as the budget holds, up or
    down; "uniform": by anything within it. `grey` changes the channels alike. In [0, 1].
    """
    shape = (*photo[:, :1].shape,) if grey else photo.shape
    if name == "random-sign":
        signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.float32)
        noise = signs.mul_(2).sub_(1).mul_(int(epsilon * LEVELS + 1e-6) / LEVELS)
    else:
        noise = torch.empty(shape).uniform_(-epsilon, epsilon, generator=generator)
    return (photo + noise.to(photo.device)).clamp_(0, 1)


def control_steps(
    editor: Editor, original: Tensor, settings: ProtectSettings, *, grey: bool = False
) -> Generator[Step, None, Tensor]:
    """As `protect_steps`, for noise: one step, whose values are context proportions."""
    began, generator = time.perf_counter(), torch.Generator().manual_seed(settings.seed)
    noisy = control_noise(
        settings.objective, original, epsilon=settings.budget, generator=generator, grey=grey
    )
    noisy = quantise(noisy, original, settings.budget)
    passes = choose_passes(editor.info, settings, samples=4)
    proportion = context_proportion(editor, original, passes)
    with torch.no_grad():
        start, value = (
            float(proportion(image, torch.Generator().manual_seed(CHECK_SEED)))
            for image in (original, noisy)
        )
    yield Step(
        index=1,
        steps=1,
        value=value,
        start_value=start,
        best_value=value,
        step_size=settings.budget,
        seconds=time.perf_counter() - began,
        image=noisy,
        kept=noisy,
        original=original,
    )
    return noisy
