"""A baseline: the photo's latents moved away from where they were, or towards grey."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from decontext.editors import Editor
from decontext.objectives.draws import Objective
from decontext.objectives.sizes import working_size
from decontext.photo.resampling import resize


def encoder(editor: Editor, photo: Tensor, *, to_grey: bool = False) -> Objective:
    """Squared distance of the photo's latents from where they were, negative: a baseline.

    With `to_grey` it is the distance from the latents of a grey picture, and positive: there is
    then a place to go to. It needs neither prompt nor noise. Away from the photo its gradient is
    zero at the photo itself: start elsewhere.

    Source: the encoder attack of PhotoGuard, arXiv 2302.06588, section 4.1, untargeted or aimed at
    a grey picture.
    """
    aim = torch.full_like(photo, 0.5) if to_grey else photo
    encode_aim, sign = original_latents(editor, aim), 1 if to_grey else -1

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        there = encode_aim(working_size(editor, image))
        return sign * (editor.encode_image(image).float() - there).square().mean()

    return objective


def original_latents(editor: Editor, photo: Tensor) -> Callable[[tuple[int, int]], Tensor]:
    """Latents of a picture, float32, by working size, which a cut-off edge can change."""

    @cache
    def encode(size: tuple[int, int]) -> Tensor:
        with torch.no_grad():
            if working_size(editor, photo) == size:
                return editor.encode_image(photo).float()
            return editor.encode_image(resize(photo, size)).float()

    return encode
