"""Makes editors small whose ordinary size is settled in their pipelines: about a megapixel."""

from __future__ import annotations

from typing import Any

import pytest
from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from diffusers.pipelines.qwenimage21 import pipeline_qwenimage21

MODULES = (
    pipeline_longcat_image_edit,
    pipeline_qwenimage21,
    pipeline_qwenimage_edit,
    pipeline_qwenimage_edit_plus,
)


def shrink_pipelines(patch: pytest.MonkeyPatch, side: int) -> None:
    """Every area for which diffusers' pipelines calculate a size becomes that of this side."""
    for module in MODULES:
        whole = module.calculate_dimensions
        patch.setattr(
            module, "calculate_dimensions", lambda _, ratio, whole=whole: whole(side**2, ratio)
        )


def shrink_editor(editor: Any, side: int) -> Any:
    """The same for what an editor of ours says of itself."""
    for owner in (editor, getattr(editor, "_kind", None)):
        for name in ("_side", "side", "seen_side"):
            if getattr(owner, name, None):
                setattr(owner, name, side)
    return editor
