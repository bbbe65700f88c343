"""The formats that photos are read from and saved in, and what each of them can hold.

Used by `saving`, and by whoever asks for the ending of a file.
"""

from dataclasses import dataclass
from pathlib import Path

from decontext.errors import InputError


@dataclass(frozen=True)
class Format:
    """What files of a format can hold.

    Attributes:
        name: Pillow's.
        colours: numbers of colour channels that can have a profile: 1 grey, 3 RGB, 4 CMYK.
        opacity: whether pixels may be transparent.
        depth: most bits per channel.
        metadata: which of `exif`, `xmp`, `iptc`, `texts`, `comment` it holds.
        longest: pixels of the longer side.
        is_lossy: whether saving changes levels.
        grey: whether it knows pictures of one channel.
        is_upright: whether pictures lie in it as they are shown: viewers look for no orientation.
    """

    name: str
    colours: tuple[int, ...] = (1, 3)
    opacity: bool = True
    depth: int = 8
    metadata: tuple[str, ...] = ("exif", "xmp")
    longest: int | None = None
    is_lossy: bool = False
    grey: bool = True
    is_upright: bool = False


_FORMATS = {
    "JPEG": Format(
        "JPEG",
        colours=(1, 3, 4),
        opacity=False,
        metadata=("exif", "xmp", "iptc", "comment"),
        longest=65_500,
        is_lossy=True,
    ),
    "PNG": Format("PNG", depth=16, metadata=("exif", "xmp", "iptc", "texts", "comment")),
    "WEBP": Format("WEBP", colours=(3,), longest=16_383, grey=False),
    "TIFF": Format("TIFF", colours=(1, 3, 4), depth=16, metadata=("exif", "xmp", "iptc")),
    "HEIF": Format("HEIF", longest=16_383, is_lossy=True, is_upright=True),
    # A longer side is written, and then refused by the reader.
    "AVIF": Format("AVIF", longest=32_768, is_lossy=True, is_upright=True),
    "BMP": Format("BMP", colours=(), opacity=False, metadata=(), is_upright=True),
}

SAVED_ENDINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".avif": "AVIF",
    ".bmp": "BMP",
}
"""Pillow's name of the format that a file's ending stands for; a photo can be saved as any."""

READ_ENDINGS = (*SAVED_ENDINGS, ".gif")
"""Endings of the formats that are read."""


def format_of(path: Path) -> Format:
    """What the ending of a file to save says. Raises: InputError: nothing that is saved here."""
    try:
        return _FORMATS[SAVED_ENDINGS[path.suffix.lower()]]
    except KeyError:
        hint = f"Use one of {', '.join(SAVED_ENDINGS)}."
        if path.suffix.lower() == ".gif":
            hint = f"GIF has 256 colours, too few for what protects the photo. {hint}"
        raise InputError(
            f"{path.name} has no ending of a picture that can be saved here.", hint
        ) from None
