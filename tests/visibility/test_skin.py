"""Where a photo looks like skin."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT
from decontext.visibility.distance import TO_YCC, blend_bands
from decontext.visibility.skin import skin_like

PALE, DARK = (224, 172, 140), (110, 68, 48)
SKY, LEAF, GREY = (120, 160, 220), (70, 130, 60), (128, 128, 128)


def _plain(colour: tuple[int, int, int]) -> Tensor:
    return (torch.tensor(colour) / 255).view(1, 3, 1, 1).expand(1, 3, 32, 32).contiguous()


def _likeness(photo: Tensor) -> Tensor:
    return skin_like(blend_bands(photo, torch.tensor(TO_YCC) * 255, 0))


@pytest.mark.parametrize("colour", [PALE, DARK])
def test_pale_and_dark_skin_are_skin(colour: tuple[int, int, int]) -> None:
    assert float(_likeness(_plain(colour)).mean()) > 0.7


@pytest.mark.parametrize("colour", [SKY, LEAF, GREY, (0, 0, 0), (255, 255, 255)])
def test_sky_leaves_and_grey_are_not(colour: tuple[int, int, int]) -> None:
    assert float(_likeness(_plain(colour)).max()) < 0.1


def test_a_face_is_found_in_a_photo() -> None:
    likeness = _likeness(read_pixels(ASTRONAUT))
    assert float(likeness[..., 90:150, 200:250].mean()) > 0.8  # the face
    assert float(likeness[..., 430:500, 330:420].mean()) < 0.1  # the black visor
