"""A baseline: the editor's own training loss, made large."""

from collections.abc import Sequence

import torch
from torch import Tensor

from decontext.editors import Editor
from decontext.objectives.draws import Objective, draw_prompt, draw_sigma, mean
from decontext.objectives.encoder import original_latents
from decontext.objectives.instructions import Instructions
from decontext.objectives.sizes import working_size
from decontext.prompts import OPTIMISE

FLOW_SIGMA_RANGE = (0.5, 1.0)
"""Below this the noisy picture itself shows the person, and the photo plays no part."""


def flow_matching(
    editor: Editor,
    photo: Tensor,
    *,
    prompts: Sequence[str] = OPTIMISE,
    sigma_range: tuple[float, float] = FLOW_SIGMA_RANGE,
    samples: int = 1,
    refresh_text: int = 0,
) -> Objective:
    """The editor's training loss for keeping the photo as it is, negative: a baseline.

    From the noisy latents of the photo and the perturbed photo as context, the editor predicts the
    velocity; its squared error is to become large.

    Source: Diff-PGD as compared with in arXiv 2512.16625, table 1.
    """
    instructions = Instructions(editor, photo, refresh=refresh_text)
    encode_photo = original_latents(editor, photo)

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        def draw() -> Tensor:
            prompt = instructions.encode(draw_prompt(prompts, generator))
            sigma = draw_sigma(sigma_range, generator)
            size = working_size(editor, image)
            clean, noise = encode_photo(size), editor.draw_noise(size, generator).float()
            velocity = editor.predict(image, prompt, sigma, torch.lerp(clean, noise, sigma))
            return -(velocity.float() - (noise - clean)).square().mean()

        instructions.see(image)
        return mean(draw() for _ in range(samples))

    return objective
