"""The recognisers beside SFace, so that no figure rests on one network alone.

`DlibRecogniser` runs offline from the extra `decontext[eval]`: dlib's residual network, by another
author on other data than SFace, on its own landmarks. `ArcFaceRecogniser`, with which the paper
measures ISM, runs where insightface has put its weights. `PersonJudge` asks all that there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decontext.errors import InputError
from decontext.evaluation.faces import CLEAR_SCORE, Face, FaceDetector, align, missing_package
from decontext.evaluation.identity import (
    FACE_SIZE,
    LANDMARKS,
    FaceRecogniser,
    open_session,
    people_mean,
)

ARCFACE_WEIGHTS = Path.home() / ".insightface" / "models" / "buffalo_l" / "w600k_r50.onnx"
"""Where insightface keeps the recogniser of its usual package."""

SYNTHETIC_THRESHOLDS: Mapping[str, float] = {"sface": 0.35, "dlib": 0.43}
"""Mean-centred cosine from which two pictures of synthetic people show the same one.

1 % of 3,540 pairs of pictures of 60 different held-out people lie above, and fewer than 5 % of the
pairs of the same person below. Source: `training/people_means.py`, seeds 90000 to 90059.
"""


class Recogniser(Protocol):
    """Turns faces into vectors and compares them."""

    name: str
    threshold: float

    def describe(self, face: Face) -> NDArray[np.float32]:
        """A face as a vector."""
        ...

    def compare(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """How alike two faces are; `threshold` and more is the same person by its authors."""
        ...


class DlibRecogniser:
    """dlib's face recognition network, with the models of the package face-recognition-models.

    Raises:
        InputError: the extra `eval` is not installed.
    Source: dlib_face_recognition_resnet_model_v1, Davis King, public domain.
    """

    name = "dlib"
    threshold = 0.4
    """One minus the distance of 0.6 from which its author calls two faces different."""

    def __init__(self) -> None:
        try:
            import dlib
        except ImportError as error:
            raise missing_package(str(error.name)) from None
        spec = find_spec("face_recognition_models")
        if spec is None or not spec.submodule_search_locations:
            raise missing_package("face-recognition-models")
        folder = Path(spec.submodule_search_locations[0]) / "models"
        self._dlib: Any = dlib
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(
            str(folder / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def describe(self, face: Face) -> NDArray[np.float32]:
        """A face as a vector `(128,)`, of a length of about 1.4."""
        # dlib's landmarks are trained on square boxes that sit a little lower than YuNet's.
        left, top, width, height = face.box
        side, x, y = (width + height) / 2, left + width / 2, top + 0.55 * height
        corners = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        shape = self._landmarks(face.picture, self._dlib.rectangle(*map(int, corners)))
        return np.array(self._network.compute_face_descriptor(face.picture, shape), np.float32)

    def compare(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """One minus the Euclidean distance."""
        return 1 - float(np.linalg.norm(first - second))


class ArcFaceRecogniser:
    """ArcFace from the weights that insightface downloads; insightface itself is not needed.

    Raises:
        InputError: the weights are not there, or the extra `eval` is not installed.
    Source: arXiv 1801.07698; the threshold is that of arXiv 2512.16625, section 5.
    """

    name = "arcface"
    threshold = 0.32

    def __init__(self, weights: Path = ARCFACE_WEIGHTS, threads: int = 1) -> None:
        if not weights.is_file():
            raise InputError(
                f"the weights of ArcFace are not at {weights}.",
                "insightface puts them there; their licence allows research only.",
            )
        self._session = open_session(str(weights), threads)
        self._input = self._session.get_inputs()[0].name

    def describe(self, face: Face) -> NDArray[np.float32]:
        """A face as a vector of length 1, `(512,)`."""
        picture = align(face, LANDMARKS, FACE_SIZE).astype(np.float32)
        planes = ((picture - 127.5) / 127.5).transpose(2, 0, 1)[None]
        vector = self._session.run(None, {self._input: np.ascontiguousarray(planes)})[0][0]
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def compare(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """Cosine: what the paper calls ISM."""
        return float(first @ second)


@dataclass(frozen=True, eq=False)
class Description:
    """The clearest face of a picture, a vector by recogniser; `faces` counts the clear ones."""

    vectors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    faces: int


class PersonJudge:
    """Says by every recogniser that is installed how much a picture shows the person of another.

    `centred` is for rendered people, whom recognisers of photographs find all alike: the cosine is
    taken after the mean of many of them is subtracted, and `SYNTHETIC_THRESHOLDS` applies.

    Raises:
        InputError: the extra `eval` is not installed.
    """

    def __init__(
        self, recognisers: Sequence[Recogniser] | None = None, *, centred: bool = False
    ) -> None:
        self._detector = FaceDetector()
        found = load_recognisers(self._detector) if recognisers is None else tuple(recognisers)
        self._centred = centred
        self._recognisers = tuple(
            recogniser
            for recogniser in found
            if not centred or recogniser.name in SYNTHETIC_THRESHOLDS
        )

    @property
    def thresholds(self) -> dict[str, float]:
        """From which similarity each recogniser says "the same person"."""
        if self._centred:
            return {r.name: SYNTHETIC_THRESHOLDS[r.name] for r in self._recognisers}
        return {r.name: r.threshold for r in self._recognisers}

    def describe(self, image: NDArray[np.uint8]) -> Description | None:
        """The clearest face of an RGB picture `(height, width, 3)`; None where there is none."""
        faces = self._detector.find(image)
        if not faces:
            return None
        vectors = {r.name: r.describe(faces[0]) for r in self._recognisers}
        return Description(vectors, max(1, sum(face.score >= CLEAR_SCORE for face in faces)))

    def compare(
        self, first: Description | None, second: Description | None
    ) -> dict[str, float | None]:
        """Similarity by recogniser; None where a face is missing."""
        if first is None or second is None:
            return {r.name: None for r in self._recognisers}
        return {r.name: self._compare(r, first, second) for r in self._recognisers}

    def _compare(self, recogniser: Recogniser, first: Description, second: Description) -> float:
        vectors = (first.vectors[recogniser.name], second.vectors[recogniser.name])
        if not self._centred:
            return recogniser.compare(*vectors)
        a, b = (vector - people_mean(recogniser.name) for vector in vectors)
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def load_recognisers(detector: FaceDetector) -> tuple[Recogniser, ...]:
    """SFace, then those of the others whose packages and weights are there."""
    found: list[Recogniser] = [FaceRecogniser(detector=detector)]
    if find_spec("dlib") and find_spec("face_recognition_models"):
        found.append(DlibRecogniser())
    if ARCFACE_WEIGHTS.is_file():
        found.append(ArcFaceRecogniser())
    return tuple(found)
