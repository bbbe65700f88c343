"""A picture as a file like the photo's: format, mode, transparency, profile, EXIF, orientation.

Last station on the way of the data. What could go wrong is found before the work: `check_output`
saves a small stand-in with the photo's own metadata.

Differs from the original code, which crops to the centre, truncates to whole levels and loses EXIF
and colour profile.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.exif import stored_view
from decontext.photo.files import check_writable, write_whole
from decontext.photo.levels import describe_size, strips, to_array
from decontext.photo.photo import SMALLEST_SIDE, Photo
from decontext.photo.tiff import add_metadata

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
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_MOST_BYTES = {"TIFF": 2**32, "BMP": 2**32}
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")
_LOSSLESS_TIFF = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")


def check_output(photo: Photo, path: str | Path, *, quality: int | None = None) -> None:
    """Find out before the work whether the result could be saved there.

    Raises:
        InputError: unknown ending, transparency, a size or metadata that the format cannot hold, a
            quality outside 1..100, a folder in the way, an impossible name, or a folder that is
            missing or cannot be written to.
    """
    path = Path(path)
    file_format = _check_form(photo, path, quality)
    check_writable(path)
    stand_in = torch.zeros(1, 3, SMALLEST_SIDE, SMALLEST_SIDE)
    opacity = None if photo.alpha is None else torch.zeros(SMALLEST_SIDE, SMALLEST_SIDE)
    picture = _compose(stand_in, opacity, photo, file_format)
    _encode(picture, photo, file_format, quality)


def save_photo(
    image: Tensor, photo: Photo, path: str | Path, *, quality: int | None = None
) -> None:
    """Write a picture as a file like the photo's; the format follows the ending of `path`.

    Size, mode, transparency, colour profile, EXIF and XMP data and the stored orientation are the
    photo's (`choose_metadata` gives one with less). PNG, WebP, TIFF and BMP keep every level. The
    file appears whole or not at all.

    Args:
        image: `(1, 3, height, width)` in [0, 1], upright, of the photo's size.
        photo: what it was made from.
        path: where to; an existing file is replaced.
        quality: of JPEG, 1..100; 95 by default, always with full colour resolution.

    Raises:
        InputError: what `check_output` finds, another size than the photo's, colour in a grey
            photo, a full disk.
    """
    path = Path(path)
    file_format = _check_form(photo, path, quality)
    if image.shape != photo.pixels.shape:
        raise InputError(
            f"the picture to save is {describe_size(image)}; the photo is "
            f"{describe_size(photo.pixels)}, and both must be the same."
        )
    picture = _compose(image, photo.alpha, photo, file_format)
    # Encoded in memory, so that a full disk shows as such and not as an encoder's error.
    write_whole(_encode(picture, photo, file_format, quality), path)


def _check_form(photo: Photo, path: Path, quality: int | None) -> str:
    """Pillow's name of the format; what can be said without writing. Raises: InputError."""
    file_format = _format_of(path)
    if photo.alpha is not None and file_format not in _WITH_ALPHA:
        raise InputError(
            f"the photo has transparency, which {file_format} cannot hold.",
            "Save it as .png, .webp or .tiff.",
        )
    width, height = photo.size
    longest, most = _LONGEST_SIDE.get(file_format), _MOST_BYTES.get(file_format)
    if (longest and max(photo.size) > longest) or (most and 4 * width * height >= most):
        limit = f"up to {longest} pixels a side" if longest else "files of up to 4 GB"
        raise InputError(
            f"the photo is {width} x {height} pixels and cannot be written as {file_format}, "
            f"which holds {limit}.",
            "Save it as .png.",
        )
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality is {quality}; it must be from 1 to 100.")
    return file_format


def _format_of(path: Path) -> str:
    """Pillow's name of the format that a file's ending stands for."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"{path.name} has no ending of a picture that can be saved here.",
            f"Use one of {', '.join(_FORMATS)}.",
        ) from None


def _compose(image: Tensor, opacity: Tensor | None, photo: Photo, file_format: str) -> Image.Image:
    """The picture in the photo's own mode, as it lies in the file, put together strip by strip."""
    # BMP has no EXIF data to say how it lies: it stays upright.
    lies = 1 if file_format == "BMP" else photo.orientation
    # WebP knows no grey: its three channels are then equal.
    is_grey = photo.is_grey and file_format != "WEBP"
    mode = ("L" if is_grey else "RGB") + ("" if opacity is None else "A")
    stored = stored_view(image.detach().cpu().numpy(), lies)
    stored_opacity = None if opacity is None else stored_view(opacity.cpu().numpy(), lies)
    picture = Image.new(mode, (stored.shape[-1], stored.shape[-2]))
    for rows in strips(stored):
        pixels = to_array(torch.from_numpy(np.ascontiguousarray(stored[..., rows, :])))
        if photo.is_grey and np.ptp(pixels, axis=2).any():
            raise InputError("the photo is grey; the picture to save must be grey as well.")
        channels = [pixels[..., :1] if is_grey else pixels]
        if stored_opacity is not None:
            channels.append(stored_opacity[rows][..., None].astype(np.uint8))
        strip = np.concatenate(channels, axis=2)
        picture.paste(
            Image.fromarray(strip[..., 0] if strip.shape[2] == 1 else strip), (0, rows.start)
        )
    return picture


def _encode(
    picture: Image.Image, photo: Photo, file_format: str, quality: int | None
) -> bytes | bytearray | memoryview:
    """The file's bytes. Raises: InputError: the format cannot hold it."""
    content = io.BytesIO()
    try:
        with quiet_decoders():
            picture.save(content, file_format, **_save_options(photo, file_format, quality))
            if file_format == "TIFF" and (photo.exif or photo.xmp):
                return add_metadata(
                    content.getbuffer(), photo.exif, photo.xmp, orientation=photo.orientation
                )
    except MemoryError as error:
        raise InputError(
            f"writing the picture as {file_format} needs more memory than there is.",
            "Choose another ending.",
        ) from error
    except DECODER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"the picture cannot be written as {file_format} ({reason}).",
            "Choose another ending, or leave its metadata out (--strip-metadata).",
        ) from error
    return content.getbuffer()


def _save_options(photo: Photo, file_format: str, quality: int | None) -> dict[str, Any]:
    """What Pillow needs to keep every level, the metadata and the photo's own way of writing."""
    options: dict[str, Any] = {}
    if "dpi" in photo.options and file_format != "WEBP":
        options["dpi"] = photo.options["dpi"]
    if photo.icc and file_format != "BMP":
        options["icc_profile"] = photo.icc
    if photo.exif and file_format in ("JPEG", "PNG", "WEBP"):
        options["exif"] = photo.exif
    if photo.xmp and file_format in ("JPEG", "WEBP"):
        options["xmp"] = photo.xmp
    if file_format == "JPEG":
        options |= {"quality": JPEG_QUALITY if quality is None else quality, "subsampling": 0}
        options["progressive"] = bool(photo.options.get("progressive"))
    elif file_format == "PNG" and photo.xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", photo.xmp.decode())
    elif file_format == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif file_format == "TIFF":
        own = photo.options.get("compression")
        options["compression"] = own if own in _LOSSLESS_TIFF else "tiff_adobe_deflate"
    return options
