"""Copies of a photo that the least visible change is made for."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from decontext.least_visible import demand_of
from decontext.publishing.copies import KINDS, SAVED, draw_copy, kinds_of, pressure_of
from decontext.settings import RobustLevel


@pytest.mark.parametrize("level", get_args(RobustLevel))
def test_every_kind_of_a_level_is_drawn(level: RobustLevel) -> None:
    generator = torch.Generator().manual_seed(0)
    for kind in KINDS[level]:
        copy = draw_copy(kind, level, (160, 120), generator)
        assert copy(torch.rand(1, 3, 120, 160), generator).shape[1] == 3
        assert (copy.name == "none") == (kind == SAVED)


def test_cut_copies_are_cut_by_different_parts_at_different_places() -> None:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.arange(100.0 * 120).div(100 * 120).view(1, 1, 100, 120).expand(1, 3, 100, 120)
    cuts = [draw_copy("cut", "web", (120, 100), generator)(ramp, generator) for _ in range(12)]
    assert len({cut.shape for cut in cuts}) > 3
    assert len({round(float(cut[0, 0, 0, 0]), 4) for cut in cuts}) > 6


def test_photos_much_larger_than_what_the_editor_sees_are_not_prepared_for_being_cut() -> None:
    assert kinds_of("web", 1.0) == KINDS["web"]
    assert kinds_of("web", 4.0) == ("saved", "reduced", "mirrored")


def test_reduced_copies_are_those_that_lose_much() -> None:
    generator = torch.Generator().manual_seed(0)
    for level, lowest in (("web", 60), ("strong", 30)):
        drawn = [draw_copy("reduced", level, (160, 120), generator) for _ in range(60)]  # type: ignore[arg-type]
        values = [dict(copy.parts) for copy in drawn]
        assert {copy.parts[0][0] for copy in drawn} == {"jpeg", "small"}  # in either order
        assert {lowest <= one["jpeg"] <= 80 for one in values} == {True}
        assert min(one["jpeg"] for one in values) < lowest + 5
        assert {0.5 <= one["small"] <= 0.75 for one in values} == {True}


def test_reduced_copies_of_small_photos_press_harder() -> None:
    for kind in ("jpeg", "reduced"):
        assert pressure_of(kind, 1.0) > pressure_of(kind, 4.0)
    assert pressure_of("saved", 1.0) == pressure_of("saved", 4.0)


def test_what_is_wanted_of_each_kind_follows_from_the_fall() -> None:
    assert demand_of("saved", 0.6, 1.0).most == pytest.approx(0.4)
    assert demand_of("reduced", 0.6, 1.0).most == pytest.approx(0.5)
    assert demand_of("mirrored", 0.6, 1.0).most == pytest.approx(0.6)
    assert demand_of("mirrored", 0.3, 1.0).most == 0.95
    assert demand_of("mirrored", 0.6, 1.0).bound < demand_of("reduced", 0.6, 1.0).bound


def test_same_seed_draws_the_same_copies() -> None:
    names = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        kinds = KINDS["strong"] * 3
        names.append([draw_copy(kind, "strong", (4000, 3000), generator).name for kind in kinds])
    assert names[0] == names[1]
