"""What is kept of a photo: its pixels, and what is needed to save another one exactly like it.

`reading` makes it from a file, `sources` from anything else, `saving` writes one like it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.photo.carrying import Own
from decontext.photo.colour import GREY_MODES
from decontext.photo.texts import Texts

SMALLEST_SIDE = 16
"""Pixels; less than one patch of an editor is no photo."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as people see it, with what is needed to save another one exactly like it.

    Attributes:
        pixels: `(1, 3, height, width)` float32, upright sRGB in [0, 1], multiples of 1/255: what an
            editor is given.
        path: the file it was read from; where it came from memory a name alone, `photo.png`.
        format: Pillow's name of the file format, such as `JPEG`.
        mode: Pillow's mode of the file, such as `RGB`, `LA`, `P` or `I;16`.
        alpha: `(height, width)` uint8 opacity, upright; None without transparency.
        icc: the file's colour profile, or None.
        own: what the file itself holds, where that is not the levels of `pixels`: 16 bits, other
            colours than sRGB, CMYK.
        exif: EXIF block without its previews, or None.
        xmp: XMP packet, or None.
        iptc: datasets of IPTC, captions and keywords, or None.
        texts: the comment of a JPEG or GIF file as `Comment`, or the texts of a PNG file, by name.
        orientation: EXIF orientation under which the pixels are stored, 1..8.
        options: how the file was written (`dpi`, `progressive`, `compression`, `png_colours`: a PNG
            file's chunks on gamma and primaries), for the next one.
        notes: what saving cannot keep and which personal data stay, in words for the user.
        sha256: of the file it was read from, or of the bytes; of the levels where it came as
            pixels. Empty where nobody said.
        from_file: whether `path` is a file.
    """

    pixels: Tensor
    path: Path
    format: str
    mode: str
    alpha: Tensor | None = None
    icc: bytes | None = None
    own: Own | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: Texts = ()
    orientation: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = ""
    from_file: bool = True

    @property
    def is_grey(self) -> bool:
        """Whether the file has one colour channel: all three must then change alike."""
        return self.mode in GREY_MODES

    @property
    def size(self) -> tuple[int, int]:
        """`(width, height)` in pixels, upright."""
        return self.pixels.shape[-1], self.pixels.shape[-2]
