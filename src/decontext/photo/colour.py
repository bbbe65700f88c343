"""Whatever colours a file has, as RGB or RGBA of 8 bits, and what was lost on the way.

Used by `images.py` alone.
"""

import io

import numpy as np
from PIL import Image, ImageCms

from decontext.errors import InputError

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes with one colour channel."""


def to_rgb(image: Image.Image) -> tuple[Image.Image, bytes | None, list[str]]:
    """An opened file as RGB, or RGBA where it has transparency.

    Returns:
        The picture, the colour profile that still describes it, and notes for the user.

    Raises:
        InputError: colours that cannot be converted, such as floating point.
    """
    mode, icc = image.mode, image.info.get("icc_profile")
    icc = icc if isinstance(icc, bytes) else None
    # Pillow reads 16-bit colour as 8-bit; only the description of the stored bytes tells.
    stored = [str(tile[3]) for tile in getattr(image, "tile", ())]
    is_deep = mode.startswith("I") or any(";16" in kind for kind in stored)
    if mode == "I" and not all(kind in ("I;16B", "I;16") for kind in stored or ["I"]):
        raise InputError(
            "the picture has 32 bits per channel, or signed ones; what is white in it is not said.",
            "Convert it to 8 or 16 bits per channel first.",
        )
    image.load()
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    notes = ["16 bits per channel are saved as 8"] if is_deep else []
    if mode in ("P", "PA"):
        notes.append(f"the palette picture is saved as {wanted}")
    elif mode == "1":
        notes.append("the black and white picture is saved as grey")
    elif "transparency" in image.info:
        notes.append("the transparent colour is saved as an opacity channel")
    if mode.startswith("I"):
        return _reduce_depth(image).convert("RGB"), icc, notes
    if mode == "CMYK":
        return *_convert_cmyk(image, icc), ["the CMYK picture is saved as RGB"]
    if mode in ("F", "LAB", "HSV"):
        raise InputError(
            f"the picture's colours are {mode}; they must be RGB, grey, palette or CMYK.",
            "Convert it to RGB with 8 bits per channel first.",
        )
    return (image if mode == wanted else image.convert(wanted)), icc, notes


def _reduce_depth(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey, to the nearest level (257 is odd: there is always one)."""
    values = np.asarray(image).astype(np.uint32)
    values += 128
    values //= 257
    return Image.fromarray(values.astype(np.uint8))


def _convert_cmyk(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """To RGB, through the picture's profile where it has one; and the profile that fits then."""
    if icc is None:
        return image.convert("RGB"), None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB"), None
    return (converted or image.convert("RGB")), srgb.tobytes()
