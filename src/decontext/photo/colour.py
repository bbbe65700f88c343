"""Whatever kind of colours a file has, as grey, RGB or CMYK, with opacity or without.

Used by `reading`. What was lost on the way is said; profiles are left to `profiles`.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decontext.errors import InputError
from decontext.photo.depth import grey_values, is_deep, to_eight

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes with one colour channel."""

_PLAIN = ("L", "LA", "RGB", "RGBA", "CMYK")


def to_plain(
    image: Image.Image, deep: NDArray[np.uint16] | None
) -> tuple[Image.Image, NDArray[np.uint16] | None, list[str]]:
    """An opened file as 8-bit grey, RGB or CMYK; loads it.

    Args:
        image: the opened file.
        deep: its values of 16 bits where they were read, see `depth.read_deep`.

    Returns:
        The picture in mode L, LA, RGB, RGBA or CMYK, its values of 16 bits where it has such, and
        notes for the user.

    Raises:
        InputError: colours that cannot be converted, such as floating point.
    """
    mode = image.mode
    # Pillow reads 16-bit colour as 8-bit; only the description of the stored bytes tells.
    stored = [str(tile[3]) for tile in getattr(image, "tile", ())]
    was_deep = is_deep(image)
    if mode == "I" and not all(kind in ("I;16B", "I;16") for kind in stored or ["I"]):
        raise InputError(
            "the picture has 32 bits per channel, or signed ones; what is white in it is not said.",
            "Convert it to 8 or 16 bits per channel first.",
        )
    if mode in ("F", "LAB", "HSV"):
        raise InputError(
            f"the picture's colours are {mode}; they must be RGB, grey, palette or CMYK.",
            "Convert it to RGB with 8 bits per channel first.",
        )
    image.load()
    if mode.startswith("I"):
        values = grey_values(image)
        lost = ["the transparent colour is left out"] * ("transparency" in image.info)
        return Image.fromarray(to_eight(values)[..., 0]), values, lost
    notes = ["16 bits per channel are read as 8"] if was_deep and deep is None else []
    is_grey = mode in GREY_MODES or (deep is not None and deep.shape[2] == 2)
    wanted = mode if mode == "CMYK" else "L" if is_grey else "RGB"
    if mode != "CMYK" and image.has_transparency_data:
        wanted += "A"
    if mode in ("P", "PA"):
        notes.append(f"the palette picture is saved as {wanted}")
    elif mode == "1":
        notes.append("the black and white picture is saved as grey")
    elif "transparency" in image.info:
        notes.append("the transparent colour is saved as an opacity channel")
    if mode == "La":
        image = image.convert("LA")
    if wanted == "LA" and mode in ("1", "L"):  # Pillow knows no way from grey with such a colour.
        image = image.convert("RGBA").convert("LA")
    return (image if mode == wanted else image.convert(wanted)), deep, notes
