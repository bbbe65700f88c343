"""How much each token counts in the training of `kontext-mini`."""

from __future__ import annotations

import torch

from training.transformer import Batch, token_weights

SIDE = 16  # latents; tokens are 2 x 2 of them
CORNER, MIDDLE = 0, (SIDE // 4) * (SIDE // 2) + SIDE // 4


def weights(change: torch.Tensor, kind: str) -> torch.Tensor:
    """Of the tokens of one sample whose target differs from the context by `change`."""
    contexts = torch.zeros(1, 16, SIDE, SIDE)
    return token_weights(Batch(contexts, contexts + change, ["smile"], [kind]))[0]


def test_weights_have_mean_one_and_the_middle_counts_more() -> None:
    for kind in ("aligned", "scene", "irrelevant", "tone"):
        found = weights(torch.zeros(16, SIDE, SIDE), kind)
        assert found.shape == ((SIDE // 2) ** 2,)
        torch.testing.assert_close(found.mean(), torch.tensor(1.0))
        assert found[MIDDLE] > 2 * found[CORNER]


def test_a_small_change_counts_more_than_the_rest_only_in_aligned_edits() -> None:
    change = torch.zeros(16, SIDE, SIDE)
    change[:, :2, :2] = 1
    still = weights(torch.zeros_like(change), "aligned")[CORNER]
    assert weights(change, "aligned")[CORNER] > 3 * still
    torch.testing.assert_close(weights(change, "scene")[CORNER], still)


def test_another_background_takes_little_from_the_face() -> None:
    change = torch.ones(16, SIDE, SIDE)
    change[:, 6:10, 6:10] = 0
    face = weights(torch.zeros_like(change), "aligned")[MIDDLE]
    assert 0.7 * face < weights(change, "aligned")[MIDDLE] < face
