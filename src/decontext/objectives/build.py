"""From settings to the objective that they name."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from decontext.editors import Editor
from decontext.errors import InputError
from decontext.objectives.attention_entropy import attention_entropy
from decontext.objectives.context_proportion import context_proportion
from decontext.objectives.draws import Objective, choose_passes
from decontext.objectives.encoder import encoder
from decontext.objectives.flow import flow_matching
from decontext.prompts import OPTIMISE
from decontext.settings import CONTROLS, ProtectSettings


def build_objective(
    editor: Editor,
    photo: Tensor,
    settings: ProtectSettings,
    *,
    prompts: Sequence[str] = OPTIMISE,
    samples: int | None = None,
) -> Objective:
    """The objective that the settings name; `samples` replaces their `samples_per_step`.

    Raises:
        InputError: the editor has no such blocks.
    """
    draws = samples or settings.samples_per_step
    if settings.objective in CONTROLS:
        raise InputError(f"nothing is optimised for {settings.objective!r}; it is noise.")
    if settings.objective in ("encoder", "encoder-grey"):
        return encoder(editor, photo, to_grey=settings.objective == "encoder-grey")
    if settings.objective == "flow":
        return flow_matching(
            editor, photo, prompts=prompts, samples=draws, refresh_text=settings.refresh_text
        )
    through_attention = {
        "context-proportion": context_proportion,
        "attention-entropy": attention_entropy,
    }[settings.objective]
    passes = choose_passes(editor.info, settings, prompts=prompts, samples=samples)
    return through_attention(editor, photo, passes)
