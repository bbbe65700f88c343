"""A protected picture as it lies in a file like the photo's: mode, depth, colours, opacity.

Used by `saving`. Strip by strip: a photo of 100 megapixels takes 1.2 GB, and so would every copy.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.carrying import carry
from decontext.photo.depth import to_eight
from decontext.photo.exif import stored_view
from decontext.photo.formats import Format
from decontext.photo.levels import levels, strips, to_array
from decontext.photo.losses import holds_own, is_kept_deep
from decontext.photo.photo import SMALLEST_SIDE, Photo

Composed = Image.Image | NDArray[np.uint16]
"""A picture as it lies in the file: 8 bits, or `(height, width, channels)` of 16."""

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def compose(image: Tensor, photo: Photo, form: Format) -> Composed:
    """The picture in the photo's own mode, as it lies in the file, put together strip by strip.

    Raises:
        InputError: colour in a grey photo.
    """
    lies = 1 if form.is_upright else photo.orientation
    width, height = photo.size if lies < 5 else photo.size[::-1]
    channels, has_opacity = _count_channels(photo, form), photo.alpha is not None
    if is_kept_deep(photo, form):
        whole = np.empty((height, width, channels + has_opacity), np.uint16)
        for rows, strip in _strips(image, photo, form, lies):
            whole[rows] = strip
        return whole
    mode = _MODES[channels] + "A" * has_opacity
    picture = Image.new(mode, (width, height))
    for rows, strip in _strips(image, photo, form, lies):
        content = np.ascontiguousarray(strip.astype(np.uint8)).tobytes()
        part = Image.frombytes(mode, (width, rows.stop - rows.start), content)
        picture.paste(part, (0, rows.start))
    return picture


def make_stand_in(photo: Photo, form: Format) -> Composed:
    """A small black picture of the kind that will be written."""
    channels, has_opacity = _count_channels(photo, form), photo.alpha is not None
    if is_kept_deep(photo, form):
        side = SMALLEST_SIDE
        return np.zeros((side, side, channels + has_opacity), np.uint16)
    return Image.new(_MODES[channels] + "A" * has_opacity, (SMALLEST_SIDE, SMALLEST_SIDE))


def _count_channels(photo: Photo, form: Format) -> int:
    """Channels of colour in the file; what knows no grey gets three equal ones."""
    if photo.own is not None and holds_own(photo, form):
        return photo.own.channels
    return 1 if photo.is_grey and form.grey else 3


def _strips(
    image: Tensor, photo: Photo, form: Format, lies: int
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Rows as they lie in the file, and `(rows, width, channels)` of their values."""
    own = photo.own if holds_own(photo, form) else None
    channels, deep = _count_channels(photo, form), is_kept_deep(photo, form)
    after = stored_view(image.detach().cpu().numpy(), lies)
    before = stored_view(photo.pixels.numpy(), lies)
    values = None if own is None else stored_view(own.values, lies)
    opacity: NDArray[Any] | None = None if photo.alpha is None else photo.alpha.cpu().numpy()
    if deep and own is not None:
        opacity = own.opacity
    opacity = None if opacity is None else stored_view(opacity, lies)
    limit = 0 if own is None else levels(photo.pixels, image.detach().cpu())
    space = None if own is None else own.space
    for rows in strips(after):
        wanted = _to_levels(after, rows)
        if photo.is_grey and np.ptp(wanted, axis=2).any():
            raise InputError("the photo is grey; the picture to save must be grey as well.")
        strip: NDArray[Any] = wanted[..., :channels]
        if values is not None:
            held = np.ascontiguousarray(np.moveaxis(values[:, rows], 0, -1))
            held = held if deep else to_eight(held)
            strip = carry(held, _to_levels(before, rows), wanted, space=space, limit=limit)
        if opacity is not None:
            strip = np.concatenate([strip, opacity[rows][..., None]], axis=2)
        yield rows, strip


def _to_levels(stored: NDArray[np.float32], rows: slice) -> NDArray[np.uint8]:
    return to_array(torch.from_numpy(np.ascontiguousarray(stored[..., rows, :])))
