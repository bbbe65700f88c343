"""Distances between pictures."""

import math
import sys

import pytest
import torch

from decontext.errors import InputError
from decontext.evaluation.fidelity import compare, psnr, ssim
from decontext.images import read_pixels
from decontext.portraits import ASTRONAUT


def test_equal_pictures_have_no_distance():
    portrait = read_pixels(ASTRONAUT)
    fidelity = compare(portrait, portrait)
    assert (fidelity.levels, fidelity.psnr, fidelity.ssim) == (0, math.inf, 1.0)


def test_psnr_of_a_full_budget_is_that_of_the_formula():
    picture = torch.full((1, 3, 32, 32), 0.5)
    assert psnr(picture, picture + 12.75 / 255) == pytest.approx(26.02, abs=0.01)


def test_more_noise_is_less_alike():
    portrait = read_pixels(ASTRONAUT)
    signs = torch.randint(0, 2, portrait.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    weak, strong = (
        compare(portrait, (portrait + signs * level / 255).clamp(0, 1)) for level in (2, 12)
    )
    assert (weak.levels, strong.levels) == (2, 12)
    assert weak.psnr > strong.psnr > 25
    assert 1 > weak.ssim > strong.ssim > 0


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(InputError, match=r"scikit-image.*decontext\[eval\]"):
        ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
