"""Copies of a photo that the least visible change is made for."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from decontext.publishing.copies import ALLOWANCE, KINDS, SAVED, draw_copy, kinds_of
from decontext.settings import RobustLevel


@pytest.mark.parametrize("level", get_args(RobustLevel))
def test_every_kind_of_a_level_is_drawn_and_has_its_allowance(level: RobustLevel) -> None:
    generator = torch.Generator().manual_seed(0)
    for kind in KINDS[level]:
        copy = draw_copy(kind, level, (160, 120), generator)
        assert copy(torch.rand(1, 3, 120, 160), generator).shape[1] == 3
        assert (copy.name == "none") == (kind == SAVED)
        assert ALLOWANCE[kind] >= 1


def test_cut_copies_are_cut_by_different_parts_at_different_places() -> None:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.arange(100.0 * 120).div(100 * 120).view(1, 1, 100, 120).expand(1, 3, 100, 120)
    cuts = [draw_copy("cut", "web", (120, 100), generator)(ramp, generator) for _ in range(12)]
    assert len({cut.shape for cut in cuts}) > 3
    assert len({round(float(cut[0, 0, 0, 0]), 4) for cut in cuts}) > 6


def test_photos_much_larger_than_what_the_editor_sees_are_not_prepared_for_being_cut() -> None:
    assert kinds_of("web", 1.0) == KINDS["web"]
    assert kinds_of("web", 4.0) == ("saved", "reduced", "mirrored")


def test_same_seed_draws_the_same_copies() -> None:
    names = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        kinds = KINDS["strong"] * 3
        names.append([draw_copy(kind, "strong", (4000, 3000), generator).name for kind in kinds])
    assert names[0] == names[1]
