"""A photo from whatever a program has it as: a path, bytes, a PIL image, an array, a tensor.

Nothing is guessed: what could be read in two ways is refused, with the call that makes it plain.
"""

import hashlib
import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.limits import check_pixels
from decontext.photo.opening import Readable, explained
from decontext.photo.photo import Photo
from decontext.photo.reading import load_photo, read_image

PhotoSource = Photo | Readable | Image.Image | NDArray[Any] | Tensor
"""What `to_photo` takes."""

_TOLERANCE = 1e-5
"""How far outside [0, 1] rounding errors may bring a colour."""


def to_photo(source: PhotoSource, *, max_pixels: int | None = None) -> Photo:
    """A photo from any of these, upright RGB in [0, 1]; what is not a file is called `photo.png`.

    Args:
        source: a `Photo`, given back as it is; what `load_photo` reads; a PIL image, which keeps
            its mode, profile and EXIF data and is turned as these say; a numpy array
            `(height, width)`, `(height, width, 3)` RGB or `(height, width, 4)` RGBA; a tensor
            `(3, height, width)` or `(1, 3, height, width)`. Arrays and tensors are uint8, or
            floating point in [0, 1], which is rounded to 8-bit levels.
        max_pixels: as for `load_photo`.

    Raises:
        InputError: what `load_photo` finds, another type, form or range, or something ambiguous.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, Image.Image):
        return _from_image(source, max_pixels)
    if isinstance(source, Tensor):
        return _from_array(_tensor_levels(source), max_pixels)
    if isinstance(source, np.ndarray):
        return _from_array(_array_levels(source), max_pixels)
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) or _is_file(source):
        return load_photo(source, max_pixels=max_pixels)
    raise InputError(
        f"the photo is of type {type(source).__name__}; it must be a path, bytes, a binary file, "
        "a PIL image, a numpy array or a tensor."
    )


def read_pixels(photo: PhotoSource) -> Tensor:
    """Only the pixels of a photo: `(1, 3, height, width)` float32 in [0, 1].

    A floating-point tensor `(1, 3, height, width)` is given back as it is, not rounded to levels;
    anything else goes through `to_photo`.

    Raises:
        InputError: as `to_photo`.
    """
    if isinstance(photo, Tensor) and photo.ndim == 4 and photo.is_floating_point():
        _check_tensor(photo)
        return photo
    return to_photo(photo).pixels


def _is_file(source: object) -> bool:
    return callable(getattr(source, "read", None))


def _from_image(image: Image.Image, max_pixels: int | None) -> Photo:
    """A PIL image, read like a file: what it carries is kept, and it is left as it was."""
    name = "the PIL image"
    check_pixels(image.size, 0, name, limit=max_pixels)
    with explained(name):
        photo = read_image(image, name, path=None, digest="")
        return replace(photo, sha256=hashlib.sha256(image.tobytes()).hexdigest())


def _from_array(levels: NDArray[np.uint8], max_pixels: int | None) -> Photo:
    """Levels `(height, width)`, `(height, width, 3)` or `(height, width, 4)`."""
    return _from_image(Image.fromarray(np.ascontiguousarray(levels)), max_pixels)


def _array_levels(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Raises: InputError: another form, type or range than `to_photo` takes."""
    shape = array.shape
    what = f"the array is {array.dtype} of shape {shape}"
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] in (1, 3, 4):
        raise InputError(f"{what}: its channels may come first or last.", _SHAPES)
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        raise InputError(
            f"{what}: its channels come first; they must come last.",
            "Give array.transpose(1, 2, 0).",
        )
    if len(shape) == 4:
        raise InputError(f"{what}: a batch; it must be one picture.", "Give array[0].")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (3, 4)):
        raise InputError(f"{what}.", _SHAPES)
    return _to_levels(array, what)


_SHAPES = "It must be (height, width), (height, width, 3) or (height, width, 4)."


def _tensor_levels(tensor: Tensor) -> NDArray[np.uint8]:
    """Raises: InputError: another form, type or range than `to_photo` takes."""
    _check_tensor(tensor)
    values = tensor.detach().cpu()
    values = values.float() if values.is_floating_point() else values
    picture = values[0] if values.ndim == 4 else values
    return _to_levels(picture.permute(1, 2, 0).numpy(), _describe(tensor))


def _check_tensor(tensor: Tensor) -> None:
    """Raises: InputError: no picture of three channels, or no colours in [0, 1]."""
    what, shape = _describe(tensor), tuple(tensor.shape)
    wanted = "It must be (3, height, width) or (1, 3, height, width)."
    if len(shape) == 4 and shape[0] != 1:
        raise InputError(f"{what}: a batch of {shape[0]}; it must be one picture.", wanted)
    if len(shape) not in (3, 4):
        raise InputError(f"{what}.", wanted)
    if shape[-3] != 3 and shape[-1] in (3, 4):
        axes = "(2, 0, 1)" if len(shape) == 3 else "(0, 3, 1, 2)"
        raise InputError(
            f"{what}: its channels come last; they must come first.",
            f"Give tensor.permute{axes}, of three channels.",
        )
    if shape[-3] != 3:
        raise InputError(f"{what}: {shape[-3]} channels; there must be 3 (RGB).", wanted)
    if shape[-1] == 3:
        raise InputError(f"{what}: its channels may come first or last.", wanted)
    if not (tensor.is_floating_point() or tensor.dtype == torch.uint8):
        raise _wrong_type(what)
    if tensor.is_meta or tensor.layout != torch.strided:
        raise InputError(f"{what} without values of its own.", "Give a dense tensor.")
    if tensor.is_floating_point() and tensor.numel():
        lowest, highest = torch.aminmax(tensor.detach())
        _check_range(float(lowest), float(highest), what)


def _to_levels(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Colours of either kind as levels 0..255."""
    if not values.size:
        raise InputError(f"{what}: it is empty.")
    if values.dtype == np.uint8:
        if values.max() == 1:
            raise InputError(
                f"{what}: all its levels are 0 or 1; they must be 0 to 255.",
                "Multiply by 255 if it is black and white.",
            )
        return values
    if values.dtype.kind != "f":
        raise _wrong_type(what)
    _check_range(float(values.min()), float(values.max()), what)
    result = np.empty(values.shape, np.uint8)
    for row, line in enumerate(values):
        result[row] = np.rint(np.clip(line.astype(np.float64), 0, 1) * 255)
    return result


def _check_range(lowest: float, highest: float, what: str) -> None:
    """Raises: InputError: colours outside [0, 1], or none at all."""
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise InputError(f"{what}: it holds NaN or infinity; colours must be in [0, 1].")
    if lowest < -_TOLERANCE or highest > 1 + _TOLERANCE:
        hint = "Divide by 255." if 0 <= lowest and 2 < highest <= 255 else "Clip or scale it."
        if -1 - _TOLERANCE <= lowest < -0.5 and highest <= 1 + _TOLERANCE:
            hint = "From [-1, 1]: give (x + 1) / 2."
        raise InputError(
            f"{what}: its values go from {lowest:g} to {highest:g}; they must be in [0, 1].", hint
        )


def _wrong_type(what: str) -> InputError:
    return InputError(
        f"{what}; it must be uint8, or floating point in [0, 1].",
        "Whole numbers from 0 to 255 become uint8 by .astype('uint8') or .to(torch.uint8).",
    )


def _describe(tensor: Tensor) -> str:
    return f"the tensor is {str(tensor.dtype).removeprefix('torch.')} of {tuple(tensor.shape)}"
