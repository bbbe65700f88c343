"""HEIC, as phones write it: opened and written by pillow-heif, from the extra `decontext[heif]`.

Used by `reading` and `saving`. The library is imported when a file needs it, and Pillow's own list
of formats is left as it is.
"""

import io
from types import ModuleType
from typing import IO

from PIL import Image, ImageFile

from decontext.errors import InputError

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_GENERAL = (b"mif1", b"msf1", b"mif2")
"""Brands of HEIC and AVIF alike; the further ones then say which."""


def is_heif(start: bytes) -> bool:
    """Whether a file begins like HEIC, by its first 64 bytes or more."""
    if start[4:8] != b"ftyp":
        return False
    end = min(len(start), int.from_bytes(start[:4], "big"))
    brands = [start[at : at + 4] for at in (8, *range(16, end - 3, 4))]
    return brands[0] in _BRANDS or (
        brands[0] in _GENERAL and any(brand in _BRANDS for brand in brands)
    )


def open_heif(file: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Open a file without decoding its pixels. Raises: InputError: pillow-heif is missing."""
    image: ImageFile.ImageFile = _library(name).HeifImageFile(file, "")
    return image


def encode_heif(
    picture: Image.Image,
    *,
    quality: int,
    icc: bytes | None,
    exif: bytes | None,
    xmp: bytes | None,
) -> io.BytesIO:
    """A file of 8 bits per channel with halved colour (4:2:0), which is what phones write and read.

    Args:
        picture: grey or RGB, with opacity or without, upright.
        quality: 1..100.
        icc: colour profile; without one the file says sRGB.
        exif: EXIF block that names no orientation: viewers of HEIC do not look for it there.
        xmp: XMP packet.

    Raises:
        InputError: pillow-heif is missing, or has no encoder.
    """
    library = _library("the picture")
    if not library.libheif_info()["HEIF"]:
        raise InputError("this pillow-heif cannot write HEIC.", "Choose .avif, .jpg or .png.")
    content = io.BytesIO()
    library.encode(
        picture.mode,
        picture.size,
        picture.tobytes(),
        content,
        quality=quality,
        enc_params={} if picture.mode in ("L", "LA") else {"chroma": 420},
        icc_profile=icc,
        exif=exif,
        xmp=xmp,
    )
    return content


def _library(name: str) -> ModuleType:
    try:
        import pillow_heif
    except ImportError:
        raise InputError(
            f"{name} is HEIC, which needs pillow-heif.", "Run: pip install 'decontext[heif]'"
        ) from None
    return pillow_heif
