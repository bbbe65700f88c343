"""A baseline: attention between target and photo spread as evenly as possible."""

import torch
from torch import Tensor

from decontext.attention import entropy, measuring
from decontext.editors import Editor
from decontext.objectives.context_proportion import context_proportion
from decontext.objectives.draws import Objective, Passes


def attention_entropy(editor: Editor, photo: Tensor, passes: Passes) -> Objective:
    """How evenly attention between target and photo is spread, negative: a baseline.

    The entropy of target to context and context to target attention is to become large, so that
    no token finds the one it needs. Takes the same as `context_proportion`.

    Source: VETO, arXiv 2607.27292, whose budget of blocks is `double:0`. Differs from it: one draw
    of ours per step, an instruction from the pool, and ours is the reading that each row is
    normalised over the other picture's tokens, see `attention.entropy`.
    """
    measured = context_proportion(editor, photo, passes)

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        with measuring(entropy.attention_entropy):
            return -measured(image, generator)

    return objective
