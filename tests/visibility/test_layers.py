"""A change as a sum of layers: sizes, units, grey photos, and what a picture is made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decontext.photo.images import read_pixels
from decontext.photo.portraits import ASTRONAUT
from decontext.visibility.distance import VisibleDistance
from decontext.visibility.layers import COUNT, Layers, first_layer


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return read_pixels(ASTRONAUT)[..., 100:229, 150:317]


def test_layers_are_each_half_as_fine_and_add_up_to_a_change_of_the_photos_size(
    photo: Tensor,
) -> None:
    layers = Layers(photo, first=1)
    assert [tuple(unit.shape[-2:]) for unit in layers.units][:2] == [(65, 84), (33, 42)]
    values = layers.noise(1.0, torch.Generator().manual_seed(0))
    assert len(values) == COUNT
    assert layers.spread(layers.add(values)).shape == photo.shape


def test_change_is_found_again_in_the_layers_of_it(photo: Tensor) -> None:
    layers, generator = Layers(photo), torch.Generator().manual_seed(0)
    change = layers.spread(layers.add(layers.noise(1.0, generator)))
    again = layers.spread(layers.add(layers.of(change)))
    assert torch.allclose(change, again, atol=1e-5)


def test_texture_has_larger_units_than_smooth_places() -> None:
    photo = torch.full((1, 3, 64, 128), 0.5)
    photo[..., 64:] += 0.2 * torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    finest = Layers(photo).units[0]
    assert float(finest[..., 70:120].mean()) > 1.3 * float(finest[..., 5:55].mean())


def test_grey_photo_has_grey_layers(photo: Tensor) -> None:
    grey = photo[:, :1].expand_as(photo)
    layers = Layers(grey, grey=True)
    change = layers.spread(layers.add(layers.noise(1.0, torch.Generator().manual_seed(0))))
    assert torch.allclose(change[:, 0], change[:, 2], atol=1e-6)
    assert float(change.abs().max()) > 0


def test_distance_of_the_layers_is_that_of_the_change(photo: Tensor) -> None:
    for first in (0, 1):
        layers = Layers(photo, first=first)
        change = layers.add(layers.noise(1.0, torch.Generator().manual_seed(0)))
        measured = VisibleDistance(photo, first=first)
        whole = float(measured(layers.spread(change)))
        assert float(measured.of_layers(change)) == pytest.approx(whole, rel=0.25)


@pytest.mark.parametrize(
    ("size", "first"), [((128, 128), 0), ((100, 90), 0), ((512, 512), 1), ((8000, 6000), 5)]
)
def test_finest_layer_has_about_the_pixels_that_the_editor_sees(
    size: tuple[int, int], first: int
) -> None:
    assert first_layer(size, [(128, 128)]) == first
