"""The linear head model: meshes, blend shapes, and where on it everything is.

Metres; x to the person's left, -y forward, z up, the top of the average head near z = 1.0. Regions
are found on the average head and hold for everybody, because all heads share their vertices.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.people import materials
from training.people.fields import Hairline, above_hairline, direction, smoothstep
from training.people.occlusion import measure_openness

HEAD_FILE = Path(__file__).resolve().parents[1] / "work" / "head.npz"

# The body's texture, of which the head fills the rectangle from U to U + WIDTH, V to V + HEIGHT.
TEXTURE_U, TEXTURE_WIDTH = 0.63, 0.365
TEXTURE_V, TEXTURE_HEIGHT = 0.165, 0.70
TEXTURE_NECK_V = 0.13  # counted from below: the shoulders, and right of 0.70 the mouth's inside
TEXTURE_MOUTH_U = 0.70

FACE_SLIDERS = (
    "cheek",
    "chin",
    "ear-",
    "eyebrows",
    "eye-",
    "forehead",
    "head-",
    "mouth",
    "nose",
    "neck-",
)
CHIN = (0.0, -0.128, 0.790)
# A cap of hair may reach this far below the average hairline.
LOWEST_HAIRLINE = Hairline(front=-0.02, temple=-0.01, side=-0.02, nape=-0.01)
CAP_MARGIN = -0.01

# Parts whose openness to the sky is not worth computing.
MOUTH_OPENNESS, TONGUE_OPENNESS, TEETH_OPENNESS, LASHES_OPENNESS = 0.22, 0.3, 1.0, 0.6
LEAST_EYE_OPENNESS = 0.6


@dataclass(frozen=True, eq=False)
class Head:
    """V vertices, F triangles; arrays of vertex numbers are called regions."""

    template: np.ndarray  # (V, 3) float32, what the blend shapes are added to
    mean: np.ndarray  # (V, 3) float32, the average adult
    faces: np.ndarray  # (F, 3) int32
    uv: np.ndarray  # (F, 3, 2) float32, in the head's or the eye's texture
    materials: np.ndarray  # (F,) int32
    skin_vertices: int  # the first ones; then eyes, teeth, tongue and lashes

    phenotype_shapes: np.ndarray  # (shapes, V, 3)
    phenotype_mask: np.ndarray  # (shapes, variations)
    # Each slider moves one feature, on both sides if it has two; (more, less) offsets of a side.
    sliders: dict[str, list[tuple[np.ndarray, np.ndarray]]]
    actions: dict[str, np.ndarray]  # facial actions, offsets (V, 3)
    head_shapes: list[np.ndarray]
    asymmetries: list[np.ndarray]

    left_eye: np.ndarray
    right_eye: np.ndarray
    upper_teeth: np.ndarray

    @functools.cached_property
    def eye_centre(self) -> np.ndarray:
        """Middle of the average left eye, (3,)."""
        return self.mean[self.left_eye].mean(0)

    @functools.cached_property
    def top(self) -> int:
        return int(np.argmax(self.mean[: self.skin_vertices, 2]))

    @functools.cached_property
    def chin(self) -> int:
        distance = np.linalg.norm(self.mean[: self.skin_vertices] - np.array(CHIN), axis=1)
        return int(np.argmin(distance))

    @functools.cached_property
    def brows(self) -> np.ndarray:
        x, y, z = np.abs(self.mean[:, 0]), self.mean[:, 1], self.mean[:, 2]
        return self._skin((x > 0.012) & (x < 0.055) & (z > 0.895) & (z < 0.925) & (y < -0.10))

    @functools.cached_property
    def nose_bridge(self) -> np.ndarray:
        x, y, z = np.abs(self.mean[:, 0]), self.mean[:, 1], self.mean[:, 2]
        return self._skin((x < 0.008) & (z > 0.885) & (z < 0.905) & (y < -0.12))

    @functools.cached_property
    def ears(self) -> np.ndarray:
        return self._skin(self._in_ears)

    @functools.cached_property
    def scalp(self) -> np.ndarray:
        return self._skin(self.mean[:, 2] > 0.93)

    @functools.cached_property
    def twist(self) -> np.ndarray:
        """(V,) how far a vertex follows a turn of the head: 0 the shoulders, 1 the face."""
        return smoothstep(0.69, 0.80, self.mean[:, 2]).astype(np.float32)

    @functools.cached_property
    def cap(self) -> np.ndarray:
        """Numbers of the triangles that hair can grow on."""
        line = above_hairline(self.mean[:, 2], direction(self.mean), LOWEST_HAIRLINE)
        hairy = (self.materials == materials.SKIN) & (line[self.faces].max(1) > CAP_MARGIN)
        return np.where(hairy & ~(self._in_ears[self.faces].sum(1) >= 2))[0]

    @functools.cached_property
    def occlusion(self) -> np.ndarray:
        """(V,) float32, how open to the sky a vertex is: 0 a hole, 1 a plain."""
        openness = measure_openness(np.ascontiguousarray(self.mean), self.faces)
        mouth = self._vertices_of(materials.MOUTH)
        skin = np.union1d(self._vertices_of(materials.SKIN), self._vertices_of(materials.TORSO))
        openness[np.setdiff1d(mouth[mouth < self.skin_vertices], skin)] = MOUTH_OPENNESS
        eyes = self._vertices_of(materials.EYE)
        openness[eyes] = np.clip(openness[eyes], LEAST_EYE_OPENNESS, 1)
        openness[self._vertices_of(materials.TEETH)] = TEETH_OPENNESS
        openness[self._vertices_of(materials.LASHES)] = LASHES_OPENNESS
        openness[mouth[mouth >= self.skin_vertices]] = TONGUE_OPENNESS
        return openness

    @functools.cached_property
    def _in_ears(self) -> np.ndarray:
        x, y, z = np.abs(self.mean[:, 0]), self.mean[:, 1], self.mean[:, 2]
        return (x > 0.073) & (z > 0.84) & (z < 0.915) & (y > -0.07)

    def _skin(self, mask: np.ndarray) -> np.ndarray:
        numbers = np.where(mask)[0]
        return numbers[numbers < self.skin_vertices]

    def _vertices_of(self, material: int) -> np.ndarray:
        return np.unique(self.faces[self.materials == material])


@functools.cache
def load_head(path: Path = HEAD_FILE) -> Head:
    """Read what `assets.build` saved.

    Raises: FileNotFoundError when it has not been built.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"no head model at {path}; run python -m training.people.assets --out {path}"
        )
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    # The lower teeth would stick out of a closed mouth.
    upper = ~np.isin(data["faces"], data["lower_teeth"]).any(1)
    faces, uv, material = data["faces"][upper], data["uv"][upper], data["materials"][upper]
    names = [str(name) for name in data["shape_names"]]
    extra_names = [str(name) for name in data["extra_names"]]
    phenotypes = len(data["phenotype_mask"])
    return Head(
        template=data["template"],
        mean=data["mean"],
        faces=faces,
        uv=_map_texture(data, faces, uv, material),
        materials=_divide_skin(uv, material),
        skin_vertices=int(data["skin_vertices"]),
        phenotype_shapes=data["shapes"][:phenotypes],
        phenotype_mask=data["phenotype_mask"],
        sliders=_pair_sliders(names, data["shapes"]),
        actions={
            name.split(":")[1]: shape
            for name, shape in zip(names, data["shapes"], strict=True)
            if name.startswith("facial_action:")
        },
        head_shapes=_shapes_named("head-", extra_names, data["extra_shapes"]),
        asymmetries=_shapes_named("asym", extra_names, data["extra_shapes"]),
        left_eye=data["left_eye"],
        right_eye=data["right_eye"],
        upper_teeth=data["upper_teeth"],
    )


def _shapes_named(start: str, names: list[str], shapes: np.ndarray) -> list[np.ndarray]:
    return [shape for name, shape in zip(names, shapes, strict=True) if name.startswith(start)]


def _pair_sliders(names: list[str], shapes: np.ndarray) -> dict[str, list]:
    """Sliders of the face, in anny's order; "more" and "less" follow each other there."""
    numbers = [i for i, name in enumerate(names) if name.startswith("local_change:")]
    sliders: dict[str, list] = {}
    for more, less in zip(numbers[::2], numbers[1::2], strict=True):
        feature = names[more].split(":")[1].removeprefix("l-")
        if feature == names[more].split(":")[1]:
            feature = feature.removeprefix("r-")
        if feature.startswith(FACE_SLIDERS):
            sliders.setdefault(feature, []).append((shapes[more], shapes[less]))
    return sliders


def _divide_skin(uv: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Materials (F,), the body divided into face, torso and inside of the mouth."""
    u, v = uv.mean(1).T
    body = material == materials.SKIN
    divided = material.copy()
    divided[body & ~((u > TEXTURE_U) & (v > TEXTURE_NECK_V))] = materials.TORSO
    divided[body & (u > TEXTURE_MOUTH_U) & (v < TEXTURE_NECK_V)] = materials.MOUTH
    return divided.astype(np.int32)


def _map_texture(
    data: dict[str, np.ndarray], faces: np.ndarray, uv: np.ndarray, material: np.ndarray
) -> np.ndarray:
    """Texture coordinates (F, 3, 2), 0 to 1 over the head's texture, on eyes the eye's."""
    mapped = uv.copy()
    mapped[..., 0] = (uv[..., 0] - TEXTURE_U) / TEXTURE_WIDTH
    mapped[..., 1] = ((1 - uv[..., 1]) - TEXTURE_V) / TEXTURE_HEIGHT
    mean = data["mean"]
    left, right = mean[data["left_eye"]], mean[data["right_eye"]]
    radius = (left.max(0) - left.min(0))[0] / 2
    eyes = material == materials.EYE
    points = mean[faces[eyes]]
    centre = np.where(points[..., :1] > 0, left.mean(0), right.mean(0))
    mapped[eyes, :, 0] = 0.5 + 0.5 * (points[..., 0] - centre[..., 0]) / radius
    mapped[eyes, :, 1] = 0.5 - 0.5 * (points[..., 2] - centre[..., 2]) / radius
    return mapped.astype(np.float32)
