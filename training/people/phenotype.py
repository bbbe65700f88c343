"""anny's phenotypes (age, gender, ancestry, ...) as weights of the blend shapes."""

from __future__ import annotations

import numpy as np
import torch

NEUTRAL = 0.5


def phenotype_weights(values: dict[str, float], mask: np.ndarray) -> np.ndarray:
    """Blend-shape weights (shapes,) float32 of a phenotype; what is not named is neutral.

    `mask` (shapes, variations) says which variations each blend shape is a product of.
    """
    from anny.models.model_data import PHENOTYPE_LABELS
    from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

    row = torch.tensor([[values.get(name, NEUTRAL) for name in PHENOTYPE_LABELS]])
    weights = phenotype_blendshape_weights(
        row.float(),
        PHENOTYPE_LABELS,
        make_phenotype_anchors(torch.float32),
        torch.from_numpy(mask),
        extrapolate=False,
    )
    return weights[0].numpy()
