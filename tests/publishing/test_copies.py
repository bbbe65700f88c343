"""Copies of a photo: the weakest comes up most."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
import torch

from decontext.publishing.copies import KINDS, Copies, judged_copies
from decontext.settings import RobustLevel


@pytest.mark.parametrize("level", get_args(RobustLevel))
def test_every_kind_comes_before_any_comes_twice(level: RobustLevel) -> None:
    copies, generator = Copies(level, (160, 120)), torch.Generator().manual_seed(0)
    seen = set()
    for _ in KINDS[level]:
        copy = copies.draw(generator)
        seen.add(copies.last)
        assert copy(torch.rand(1, 3, 120, 160)).shape[1] == 3
        copies.learn(0.5)
    assert seen == set(KINDS[level])
    assert len(judged_copies(level, (160, 120))) == len(KINDS[level]) - 1


def test_copy_that_still_shows_the_photo_comes_most_often() -> None:
    copies, generator = Copies("web", (160, 120)), torch.Generator().manual_seed(0)
    counts: Counter[str] = Counter()
    for _ in range(400):
        copies.draw(generator)
        counts[copies.last] += 1
        copies.learn(0.6 if copies.last == "cut" else 0.2)
    assert counts.most_common(1)[0][0] == "cut" and counts["cut"] > 200
    assert min(counts.values()) > 10 and set(counts) == set(KINDS["web"])


def test_same_seed_draws_the_same_copies() -> None:
    names = []
    for _ in range(2):
        copies, generator = Copies("strong", (4000, 3000)), torch.Generator().manual_seed(3)
        names.append([copies.draw(generator).name for _ in range(20)])
    assert names[0] == names[1]
