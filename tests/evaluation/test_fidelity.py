"""Distances between pictures."""

import importlib.machinery
import math
import sys
import types

import pytest
import torch
from skimage.metrics import structural_similarity

from decontext.errors import InputError
from decontext.evaluation import fidelity
from decontext.evaluation.fidelity import compare, ms_ssim, psnr, ssim, worst_patch
from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT


def test_equal_pictures_have_no_distance():
    portrait = read_pixels(ASTRONAUT)
    found = compare(portrait, portrait)
    assert (found.levels, found.psnr, found.ssim) == (0, math.inf, 1.0)


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


def test_one_scale_of_ms_ssim_is_ssim_of_grey_pictures():
    generator = torch.Generator().manual_seed(1)
    grey = (torch.rand(1, 1, 20, 21, generator=generator) * 255).round() / 255
    other = (grey * 255 + 20 * torch.rand(grey.shape, generator=generator)).round() / 255
    pictures = [picture.clamp(0, 1).expand(1, 3, -1, -1) for picture in (grey, other)]
    _, places = structural_similarity(
        *(picture[0, 0].numpy() for picture in pictures),
        data_range=1,
        full=True,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    # Ours has no border: only places where the window of 11 pixels fits.
    assert ms_ssim(*pictures) == pytest.approx(places[5:-5, 5:-5].mean(), abs=1e-5)


def test_blur_costs_less_at_coarse_scales_than_at_the_finest():
    portrait = read_pixels(ASTRONAUT)
    smooth = torch.nn.functional.avg_pool2d(
        portrait, 3, stride=1, padding=1, count_include_pad=False
    )
    assert 1 == ms_ssim(portrait, portrait) > ms_ssim(portrait, smooth) > ssim(portrait, smooth)


def test_worst_patch_finds_where_the_change_is():
    picture = torch.full((1, 3, 256, 256), 0.5)
    changed = picture.clone()
    changed[..., 64:128, 64:128] += 0.1
    assert worst_patch(picture, changed) == pytest.approx(20, abs=0.01)
    assert psnr(picture, changed) == pytest.approx(32.04, abs=0.01)
    assert worst_patch(picture, picture) == math.inf
    assert worst_patch(picture[..., :40, :50], changed[..., :40, :50]) == math.inf


def test_lpips_is_none_without_its_package():
    fidelity._load_lpips.cache_clear()
    assert fidelity.lpips(torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)) is None


def test_lpips_is_measured_where_package_and_weights_are(monkeypatch, tmp_path):
    package = types.ModuleType("lpips")
    package.__spec__ = importlib.machinery.ModuleSpec("lpips", None)
    package.LPIPS = lambda net, verbose: _Distance(net)
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    fidelity._load_lpips.cache_clear()
    value = fidelity.lpips(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
    fidelity._load_lpips.cache_clear()
    assert value == 2  # from -1 to 1: the range that LPIPS takes


class _Distance(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        assert net == "alex"

    def forward(self, first, second):
        return (first - second).abs().mean()[None, None, None, None]
