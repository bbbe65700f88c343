"""A change of what an editor sees, carried to 16 bits, other colours and inks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decontext.photo.carrying import carry
from decontext.photo.codes import make_profile
from decontext.photo.depth import to_eight
from decontext.photo.profiles import ProfileError, find_space, srgb_profile

P3 = make_profile("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)))
SRGB = make_profile("sRGB", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)))
BUDGET = 8


def draw(shape, seed, highest=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, highest, shape).astype(dtype)


def move(levels, seed):
    change = np.random.default_rng(seed).integers(-BUDGET, BUDGET + 1, levels.shape)
    return np.clip(levels.astype(int) + change, 0, 255).astype(np.uint8)


@given(st.integers(0, 2**31))
def test_sixteen_bits_move_by_whole_levels_and_are_seen_exactly(seed):
    values = draw((4, 5, 3), seed, 65536, np.uint16)
    before = to_eight(values)
    after = move(before, seed + 1)
    moved = carry(values, before, after, space=None, limit=BUDGET)
    assert moved.dtype == np.uint16 and np.array_equal(to_eight(moved), after)
    inside = (moved > 0) & (moved < 65535)
    difference = moved.astype(int) - values
    assert np.array_equal(difference[inside], 257 * (after.astype(int) - before)[inside])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from([np.uint8, np.uint16]))
def test_no_level_that_is_seen_of_wide_colours_moves_beyond_the_budget(seed, dtype):
    space = find_space(P3, 3)
    values = draw((16, 16, 3), seed, 256 if dtype == np.uint8 else 65536, dtype)
    before = space.to_srgb(to_eight(values))
    after = move(before, seed + 1)
    moved = carry(values, before, after, space=space, limit=BUDGET)
    seen = space.to_srgb(to_eight(moved)).astype(int)
    assert np.abs(seen - before).max() <= BUDGET
    assert np.abs(seen - after).mean() < np.abs(before.astype(int) - after).mean()


@pytest.mark.parametrize("icc", [P3, None])
def test_what_is_not_changed_keeps_its_values(icc):
    channels = 4 if icc is None else 3
    space = find_space(icc, channels)
    values = draw((8, 8, channels), 0)
    before = space.to_srgb(values)
    after = before.copy()
    after[2, 3] = move(before[2, 3], 1)
    moved = carry(values, before, after, space=space, limit=BUDGET)
    same = (moved == values).all(axis=2)
    assert same.sum() == 63 and not same[2, 3]


def test_inks_without_a_profile_give_the_wanted_colours():
    space = find_space(None, 4)
    values = draw((16, 16, 4), 0)
    before = space.to_srgb(values)
    after = move(before, 1)
    seen = space.to_srgb(carry(values, before, after, space=space, limit=BUDGET))
    assert np.abs(seen.astype(int) - after).mean() < 0.3


def test_profiles_that_are_srgb_need_no_way_back():
    assert find_space(SRGB, 3) is None and find_space(srgb_profile(), 3) is None
    assert find_space(None, 3) is None and find_space(P3, 3) is not None
    assert find_space(srgb_profile(), 1) is None


@pytest.mark.parametrize(("icc", "channels"), [(b"no profile", 3), (P3, 4), (P3[:300], 3)])
def test_profile_that_does_not_fit_is_an_error_to_be_said(icc, channels):
    with pytest.raises(ProfileError):
        find_space(icc, channels)
