"""Scores of others, words, and the pictures that show where a change is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT
from decontext.visibility import scores
from decontext.visibility.picture import amplify, draw_preview, heat_map, write_preview
from decontext.visibility.scores import measure_visibility


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return read_pixels(ASTRONAUT)[..., :160, 150:310]


def _changed(photo: Tensor, levels: float) -> Tensor:
    signs = torch.randint(0, 2, photo.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return ((photo * 255 + signs * levels).round() / 255).clamp(0, 1)


def test_words_follow_the_score(photo: Tensor) -> None:
    assert measure_visibility(photo, photo).words == "is the photo itself"
    little, much = (measure_visibility(photo, _changed(photo, n)) for n in (1, 24))
    assert "cannot be told" in little.words and "plainly visible" in much.words
    assert little.ssimulacra2 is not None and little.ssimulacra2 > 90
    assert little.sentence.startswith("the change cannot be told from the photo (SSIMULACRA2 9")


def test_without_the_packages_the_distance_speaks(
    photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "find_spec", lambda name: None)
    monkeypatch.setattr(scores, "jod", lambda original, protected: None)
    seen = measure_visibility(photo, _changed(photo, 24))
    assert seen.ssimulacra2 is None and seen.jod is None
    assert "plainly visible" in seen.words and "SSIMULACRA2" not in seen.sentence
    assert seen.to_dict()["words"] == seen.words


def test_change_of_smooth_areas_is_said_to_lie_there() -> None:
    photo = torch.full((1, 3, 96, 96), 0.5)
    photo[..., 60:] = torch.rand((1, 3, 96, 36), generator=torch.Generator().manual_seed(0))
    changed = photo.clone()
    noise = torch.randn((1, 1, 40, 40), generator=torch.Generator().manual_seed(1))
    changed[..., 5:45, 5:45] += 16 / 255 * noise
    seen = measure_visibility(photo, changed)
    assert seen.on_smooth > 0.9
    assert "smooth areas" in seen.words


def test_large_photo_is_scored_where_it_shows_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "SCORED_SIDE", 64)
    photo = torch.rand((1, 3, 80, 200), generator=torch.Generator().manual_seed(0))
    photo = (photo * 255).round() / 255
    changed = photo.clone()
    changed[..., 150:190] = 1 - changed[..., 150:190]
    measured: list[Tensor] = []
    monkeypatch.setattr(scores, "ssimulacra2", lambda a, b: measured.append(b - a))
    measure_visibility(photo, changed)
    assert measured[0].shape == (1, 3, 64, 64)
    assert float((measured[0] != 0).float().mean()) > 0.5


def test_heat_map_is_dark_where_nothing_changed(photo: Tensor) -> None:
    changed = photo.clone()
    changed[..., 100:140, 100:140] += 10 / 255
    heat = heat_map(photo, changed.clamp(0, 1))
    assert heat.shape == photo.shape
    assert float(heat[..., :40, :40].max()) == 0 and float(heat[..., 105:135, 105:135].min()) > 0.02
    assert float(amplify(photo, photo).sub(0.5).abs().max()) == 0


def test_preview_has_a_panel_for_each_picture(photo: Tensor, tmp_path: Path) -> None:
    picture = draw_preview(photo, _changed(photo, 4), ("photo", "protected"))
    assert picture.width > 4 * photo.shape[-1] and picture.height > photo.shape[-2]
    write_preview(picture, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as again:
        assert again.size == picture.size and again.format == "PNG"


def test_preview_of_a_large_photo_shows_its_middle_at_full_size() -> None:
    photo = torch.full((1, 3, 40, 1300), 0.5)
    picture = draw_preview(photo, photo, ("photo", "protected"))
    assert picture.width >= 4 * 1024 and picture.height > 2 * 40


def test_small_picture_scores_as_the_same_pixels_of_a_larger_one() -> None:
    """Without its mirror image a picture of 128 pixels would score 30 points lower."""
    generator = torch.Generator().manual_seed(0)
    photo = read_pixels(ASTRONAUT)[..., :256, 128:384]
    noise = 4 / 255 * torch.randn((1, 1, 256, 256), generator=generator)
    blue = torch.cat([torch.zeros_like(noise), torch.zeros_like(noise), noise], dim=1)
    changed = (photo + blue).clamp(0, 1)
    whole = scores.ssimulacra2(photo, changed)
    part = scores.ssimulacra2(photo[..., :128, :128], changed[..., :128, :128])
    assert whole is not None and part == pytest.approx(whole, abs=10)
