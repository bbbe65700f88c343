"""A picture as a file like the photo's: format, mode, transparency, profile, EXIF, orientation.

Last station on the way of the data. Saved levels never leave the budget.

Differs from the original code, which crops to the centre, truncates to whole levels and loses EXIF
and colour profile.
"""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.exif import stored_view
from decontext.photo.files import check_writable, write_whole
from decontext.photo.levels import describe_size, to_array
from decontext.photo.photo import Photo

JPEG_QUALITY = 95

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")
_LOSSLESS_TIFF = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")


def check_output(photo: Photo, path: str | Path) -> None:
    """Find out before the work whether the result could be saved there.

    Raises:
        InputError: unknown ending, transparency that the format cannot hold, a folder in the way,
            or a folder that is missing or cannot be written to.
    """
    path = Path(path)
    file_format = _format_of(path)
    if photo.alpha is not None and file_format not in _WITH_ALPHA:
        raise InputError(
            f"the photo has transparency, which {file_format} cannot hold.",
            "Save it as .png, .webp or .tiff.",
        )
    check_writable(path)


def save_photo(
    image: Tensor, photo: Photo, path: str | Path, *, quality: int | None = None
) -> None:
    """Write a picture as a file like the photo's; the format follows the ending of `path`.

    Size, mode, transparency, colour profile, EXIF data and the stored orientation are the photo's.
    PNG, WebP, TIFF and BMP keep every level. The file appears whole or not at all.

    Args:
        image: `(1, 3, height, width)` in [0, 1], upright, of the photo's size.
        photo: what it was made from.
        path: where to; an existing file is replaced.
        quality: of JPEG, 1..100; 95 by default, always with full colour resolution.

    Raises:
        InputError: what `check_output` finds, another size than the photo's, colour in a grey
            photo, a picture too large for the format, a full disk.
    """
    path = Path(path)
    check_output(photo, path)
    file_format = _format_of(path)
    picture = _compose(image, photo, file_format)
    content = io.BytesIO()
    try:
        # Encoded in memory, so that a full disk shows as such and not as an encoder's error.
        picture.save(content, file_format, **_save_options(photo, file_format, quality))
    except (OSError, ValueError, struct.error) as error:
        raise InputError(
            f"the picture cannot be written as {file_format} ({error}).", "Choose another ending."
        ) from error
    write_whole(content.getbuffer(), path)


def _format_of(path: Path) -> str:
    """Pillow's name of the format that a file's ending stands for."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"{path.name} has no ending of a picture that can be saved here.",
            f"Use one of {', '.join(_FORMATS)}.",
        ) from None


def _compose(image: Tensor, photo: Photo, file_format: str) -> Image.Image:
    """The picture in the photo's own mode, with its transparency, as it lies in the file."""
    if image.shape != photo.pixels.shape:
        raise InputError(
            f"the picture to save is {describe_size(image)}; the photo is "
            f"{describe_size(photo.pixels)}, and both must be the same."
        )
    pixels = to_array(image)
    if photo.is_grey:
        if np.ptp(pixels, axis=2).any():
            raise InputError("the photo is grey; the picture to save must be grey as well.")
        # WebP knows no grey: its three channels are then equal.
        pixels = pixels if file_format == "WEBP" else pixels[..., :1]
    if photo.alpha is not None:
        pixels = np.concatenate((pixels, photo.alpha[..., None].numpy()), axis=2)
    # BMP has no EXIF data to say how it lies: it stays upright.
    lies = 1 if file_format == "BMP" else photo.orientation
    stored = np.ascontiguousarray(np.moveaxis(stored_view(np.moveaxis(pixels, 2, 0), lies), 0, 2))
    return Image.fromarray(stored[..., 0] if stored.shape[2] == 1 else stored)


def _save_options(photo: Photo, file_format: str, quality: int | None) -> dict[str, Any]:
    """What Pillow needs to keep every level, the metadata and the photo's own way of writing."""
    options: dict[str, Any] = {}
    if "dpi" in photo.options and file_format != "WEBP":
        options["dpi"] = photo.options["dpi"]
    if file_format != "BMP":
        options |= {"icc_profile": photo.icc} if photo.icc else {}
        options |= {"exif": photo.exif} if photo.exif else {}
    if file_format == "JPEG":
        options |= {"quality": JPEG_QUALITY if quality is None else quality, "subsampling": 0}
        options["progressive"] = bool(photo.options.get("progressive"))
    elif file_format == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif file_format == "TIFF":
        own = photo.options.get("compression")
        options["compression"] = own if own in _LOSSLESS_TIFF else "tiff_adobe_deflate"
    return options
