"""Chains that a photo is seen through: drawn as documented, repeatable, cheap for large photos."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from decontext.photo.images import levels
from decontext.publishing.chains import draw_chain, fixed_chains
from decontext.publishing.transforms import parse_transform
from decontext.settings import RobustLevel

LEVELS = get_args(RobustLevel)
SIZE, LARGE = (640, 480), (4000, 3000)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LEVELS), st.integers(0, 10_000), st.sampled_from([SIZE, LARGE]))
def test_drawn_chain_has_a_name_that_repeats_it(
    level: RobustLevel, seed: int, size: tuple[int, int]
) -> None:
    chain = draw_chain(level, size, _generator(seed))
    assert parse_transform(chain.name) == chain
    assert draw_chain(level, size, _generator(seed)) == chain


def _drawn(level: RobustLevel, size: tuple[int, int]) -> list[Any]:
    generator = _generator(0)
    return [draw_chain(level, size, generator) for _ in range(600)]


def test_levels_draw_what_their_documentation_says() -> None:
    kinds = {
        level: {kind for chain in _drawn(level, SIZE) for kind, _ in chain.parts}
        for level in LEVELS
    }
    assert kinds == {
        "off": set(),
        "jpeg": {"jpeg"},
        "web": {"jpeg", "small", "crop"},
        "strong": {"jpeg", "small", "crop", "flip", "blur", "noise"},
    }
    web = [part for chain in _drawn("web", SIZE) for part in chain.parts]
    qualities = [value for kind, value in web if kind == "jpeg"]
    assert (min(qualities), max(qualities)) == (60, 95)
    assert all(0.5 <= value <= 1 for kind, value in web if kind == "small")
    plain = sum(not chain.parts for chain in _drawn("web", SIZE)) / 600
    assert plain == pytest.approx(1 / 8, abs=0.04)


def test_large_photos_are_reduced_as_sites_do_and_half_the_steps_see_them_as_they_are() -> None:
    chains = _drawn("web", LARGE)
    assert sum(not chain.parts for chain in chains) / 600 == pytest.approx(0.42, abs=0.06)
    factors = [value for chain in chains for kind, value in chain.parts if kind == "small"]
    assert 1080 / 4000 <= min(factors) and max(factors) <= 2048 / 4000


@pytest.mark.parametrize("level", LEVELS)
def test_iterates_are_compared_by_four_fixed_chains_one_of_them_nothing(level: RobustLevel) -> None:
    photo: Tensor = torch.rand((1, 3, 64, 64), generator=_generator(0)).mul(255).round() / 255
    chains = fixed_chains(level, SIZE)
    assert len(chains) == 4
    assert chains == fixed_chains(level, SIZE)
    assert levels(photo, chains[0](photo)) == 0
    assert all(chain(photo).shape[0] == 1 for chain in chains)


def test_very_large_photos_are_cut_off_only_where_they_are_small_already() -> None:
    before, after = _drawn("strong", LARGE), _drawn("strong", (8000, 6000))
    kinds = [[kind for kind, _ in chain.parts] for chain in after]
    assert any("crop" in chain for chain in kinds)
    for chain in kinds:
        if "crop" in chain:
            assert chain.index("small") < chain.index("crop")
    # The draws are the same, so that the other parts are too.
    rest = [[p for p in chain.parts if p[0] not in ("crop", "small")] for chain in before]
    assert rest == [[p for p in c.parts if p[0] not in ("crop", "small")] for c in after]
