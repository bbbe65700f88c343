"""More than one recogniser: faces counted, persons told apart, on photographs."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from decontext.errors import InputError
from decontext.evaluation import recognisers
from decontext.evaluation.faces import FaceDetector
from decontext.evaluation.recognisers import ArcFaceRecogniser, DlibRecogniser, PersonJudge
from decontext.photo.images import read_pixels, to_array
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER


@pytest.fixture(scope="module")
def judge():
    return PersonJudge()


@pytest.fixture(scope="module")
def portraits():
    return [to_array(read_pixels(path)) for path in (ASTRONAUT, GRACE_HOPPER)]


def test_every_recogniser_knows_a_person_again_and_tells_another_apart(judge, portraits):
    first, second = (judge.describe(picture) for picture in portraits)
    mirrored = judge.describe(np.ascontiguousarray(portraits[0][:, ::-1]))
    same, different = judge.compare(first, mirrored), judge.compare(first, second)
    assert {"sface", "dlib"} <= set(judge.thresholds) == set(same)
    for name, threshold in judge.thresholds.items():
        assert same[name] > threshold > different[name], name


def test_faces_are_counted(judge, portraits):
    height = min(picture.shape[0] for picture in portraits)
    both = np.concatenate([picture[:height] for picture in portraits], axis=1)
    assert judge.describe(portraits[0]).faces == 1
    assert judge.describe(both).faces == 2


def test_picture_without_a_face_compares_with_nobody(judge, portraits):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert judge.describe(noise) is None
    assert set(judge.compare(judge.describe(portraits[0]), None).values()) == {None}


def test_centred_judge_uses_only_recognisers_with_a_mean_of_synthetic_people(portraits):
    judge = PersonJudge(centred=True)
    found = judge.describe(portraits[0])
    assert judge.thresholds == recognisers.SYNTHETIC_THRESHOLDS
    assert judge.compare(found, found) == pytest.approx({"sface": 1, "dlib": 1}, abs=1e-5)


def test_clearest_face_comes_first(portraits):
    scores = [face.score for face in FaceDetector().find(portraits[0])]
    assert scores == sorted(scores, reverse=True)


def test_arcface_runs_on_weights_in_the_form_of_insightface(tmp_path, portraits):
    weights = tmp_path / "w600k_r50.onnx"
    _save_stand_in_for_arcface(weights)
    recogniser = ArcFaceRecogniser(weights)
    first, second = (
        recogniser.describe(FaceDetector().find_clearest(picture)) for picture in portraits
    )
    assert first.shape == (3,)
    assert recogniser.compare(first, first) == pytest.approx(1)
    assert recogniser.compare(first, second) < 1


def test_missing_arcface_says_where_its_weights_belong(tmp_path):
    with pytest.raises(InputError, match="the weights of ArcFace are not at .*none.onnx"):
        ArcFaceRecogniser(tmp_path / "none.onnx")


def test_missing_dlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(InputError, match=r"needs dlib.*decontext\[eval\]"):
        DlibRecogniser()


def _save_stand_in_for_arcface(path: Path) -> None:
    """A network with ArcFace's input that returns the mean of each colour."""
    shape = [None, 3, 112, 112]
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["input.1"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["683"]),
        ],
        "arcface",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, [None, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
