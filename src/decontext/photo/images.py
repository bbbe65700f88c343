"""A picture file as a float tensor, and back into a file like the one it came from.

First and last station on the way of the data: the photo as it is seen (upright, RGB, in [0, 1])
goes to the editor, and the protected pixels return with the size, mode, transparency, colour
profile and EXIF data of the photo. Saved levels never leave the budget.

Differs from the original code, which crops to the centre, truncates to whole levels and loses EXIF
and colour profile.
"""

import io
import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.colour import GREY_MODES, to_rgb
from decontext.photo.exif import read_exif, read_orientation, remove_preview
from decontext.photo.files import check_writable, write_whole

SMALLEST_SIDE = 16
"""Pixels; less than one patch of an editor is no photo."""

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
_KEPT_OPTIONS = ("dpi", "progressive", "compression")

_T = Image.Transpose
_TO_UPRIGHT = {
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}
_FROM_UPRIGHT = _TO_UPRIGHT | {6: _T.ROTATE_90, 8: _T.ROTATE_270}


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as people see it, with what is needed to save another one exactly like it.

    Attributes:
        pixels: `(1, 3, height, width)` float32, upright RGB in [0, 1], multiples of 1/255.
        path: the file it was read from.
        format: Pillow's name of the file format, such as `JPEG`.
        mode: Pillow's mode of the file, such as `RGB`, `LA`, `P` or `I;16`.
        alpha: `(height, width)` uint8 opacity, upright; None without transparency.
        icc: colour profile, or None.
        exif: EXIF block without its preview, or None.
        orientation: EXIF orientation under which the pixels are stored, 1..8.
        options: how the file was written (`dpi`, `progressive`, `compression`), for the next one.
        notes: what saving cannot keep, in words for the user.
    """

    pixels: Tensor
    path: Path
    format: str
    mode: str
    alpha: Tensor | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    orientation: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_grey(self) -> bool:
        """Whether the file has one colour channel: all three must then change alike."""
        return self.mode in GREY_MODES

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in pixels, upright."""
        return self.pixels.shape[-1], self.pixels.shape[-2]


def load_photo(path: str | Path) -> Photo:
    """Read a photo upright, as RGB in [0, 1].

    Raises:
        InputError: no such file, a folder, not a picture, damaged, animated, too large, or smaller
            than 16 pixels.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; it must be a picture.", "Give one file in it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of harmless damage in metadata.
            with Image.open(path) as image:
                return _read(image, path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.", "Check the name and the folder.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read.", "Check its permissions.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture that can be read here.",
            "Convert it to JPEG, PNG, WebP, TIFF or BMP first.",
        ) from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise InputError(
            f"{path} has more than {limit} million pixels.", "Make it smaller first."
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise InputError(
            f"{path} is damaged or cut short ({error}).", "Get a complete copy of it."
        ) from error


def read_pixels(photo: Photo | str | Path | Tensor) -> Tensor:
    """Only the pixels of a photo: `(1, 3, height, width)` float32 in [0, 1].

    `photo` is a file, or one that was read already; pixels are given back as they are.

    Raises:
        InputError: as `load_photo`.
    """
    if isinstance(photo, str | Path):
        photo = load_photo(photo)
    return photo.pixels if isinstance(photo, Photo) else photo


def to_array(image: Tensor) -> NDArray[np.uint8]:
    """A picture `(1, 3, height, width)` in [0, 1] as `(height, width, 3)` levels, rounded."""
    rounded = (image.detach()[0].cpu().float() * 255).round_().clamp_(0, 255).to(torch.uint8)
    return rounded.permute(1, 2, 0).contiguous().numpy()


def quantise(image: Tensor, original: Tensor, epsilon: float) -> Tensor:
    """Round to 8-bit levels, never further from the original than the budget allows.

    Args:
        image: picture in [0, 1], any shape.
        original: the photo before, of the same shape, multiples of 1/255.
        epsilon: budget as a fraction of the full range; whole levels within it count.

    Returns:
        The nearest multiples of 1/255 within the budget and within [0, 1], float32.

    Differs from the original code: that truncates, which darkens by half a level and can leave the
    budget by one.
    """
    budget = int(epsilon * 255 + 1e-6)
    before = (original.detach().float() * 255).round_()
    after = (image.detach().float() * 255).round_()
    lowest, highest = (before - budget).clamp_(min=0), before.add_(budget).clamp_(max=255)
    return after.clamp_(lowest, highest).div_(255)


def levels(original: Tensor, protected: Tensor) -> int:
    """Largest difference between two pictures in 8-bit levels, 0..255.

    Raises:
        InputError: the pictures differ in size.
    """
    if original.shape != protected.shape:
        raise InputError(
            f"the pictures are {_describe_size(original)} and {_describe_size(protected)}; "
            "they must have the same size."
        )
    difference = (original * 255).round_() - (protected * 255).round_()
    return int(difference.abs_().max())


def psnr(original: Tensor, protected: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]; infinite when they are equal."""
    error = torch.mean((original - protected) ** 2, dtype=torch.float64).item()
    return -10 * math.log10(error) if error > 0 else math.inf


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
    # BMP has no EXIF data to say how it lies: it stays upright.
    if photo.orientation in _FROM_UPRIGHT and file_format != "BMP":
        picture = picture.transpose(_FROM_UPRIGHT[photo.orientation])
    content = io.BytesIO()
    try:
        # Encoded in memory, so that a full disk shows as such and not as an encoder's error.
        picture.save(content, file_format, **_save_options(photo, file_format, quality))
    except (OSError, ValueError, struct.error) as error:
        raise InputError(
            f"the picture cannot be written as {file_format} ({error}).", "Choose another ending."
        ) from error
    write_whole(content.getbuffer(), path)


def _read(image: Image.Image, path: Path) -> Photo:
    """Everything that is kept of an opened file."""
    _check_form(image, path)
    mode, file_format = image.mode, "JPEG" if image.format == "MPO" else str(image.format)
    if file_format == "TIFF":
        # Pillow turns TIFF files upright while loading, and forgets how they lay.
        exif, _, notes = _read_metadata(image)
        turn = None
        picture, icc, colour_notes = to_rgb(image)
    else:
        # PNG files may carry metadata behind the pixels.
        picture, icc, colour_notes = to_rgb(image)
        exif, shown, notes = _read_metadata(image)
        turn = _TO_UPRIGHT.get(shown)
    if turn is not None:
        picture = picture.transpose(turn)
    channels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return Photo(
        pixels=channels[None, :3].float().div_(255),
        path=path,
        format=file_format,
        mode=mode,
        alpha=channels[3] if len(channels) == 4 else None,
        icc=icc,
        exif=exif,
        orientation=read_orientation(exif),
        options={key: image.info[key] for key in _KEPT_OPTIONS if key in image.info},
        notes=(*notes, *colour_notes),
    )


def _check_form(image: Image.Image, path: Path) -> None:
    """Refuse what is not one photo of a useful size."""
    frames = getattr(image, "n_frames", 1)
    # An MPO file is a phone's JPEG with further pictures, such as a depth map, behind the photo.
    if frames > 1 and image.format != "MPO":
        raise InputError(
            f"{path} is animated or has several pages ({frames}); it must be one picture.",
            "Save the one to protect as PNG first.",
        )
    if min(image.size) < SMALLEST_SIDE:
        raise InputError(
            f"{path} is {image.width} x {image.height} pixels; "
            f"both sides must be at least {SMALLEST_SIDE}."
        )


def _read_metadata(image: Image.Image) -> tuple[bytes | None, int, list[str]]:
    """EXIF block to keep, orientation as shown, and notes on the pictures that are left out."""
    notes = []
    exif, shown = read_exif(image)
    if exif is not None:
        exif, had_preview = remove_preview(exif)
        if had_preview:
            notes.append("the preview in the EXIF data is left out: it shows the unprotected photo")
    if image.format == "MPO":
        notes.append("the further pictures in this file are left out")
    return exif, shown, notes


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
    """The upright picture in the photo's own mode, with its transparency."""
    if image.shape != photo.pixels.shape:
        raise InputError(
            f"the picture to save is {_describe_size(image)}; the photo is "
            f"{_describe_size(photo.pixels)}, and both must be the same."
        )
    pixels = to_array(image)
    if photo.is_grey:
        if np.ptp(pixels, axis=2).any():
            raise InputError("the photo is grey; the picture to save must be grey as well.")
        # WebP knows no grey: its three channels are then equal.
        pixels = pixels if file_format == "WEBP" else pixels[..., :1]
    if photo.alpha is not None:
        pixels = np.concatenate((pixels, photo.alpha[..., None].numpy()), axis=2)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


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


def _describe_size(image: Tensor) -> str:
    return f"{image.shape[-1]} x {image.shape[-2]}"
