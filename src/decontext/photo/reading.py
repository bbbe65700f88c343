"""A picture file as a float tensor: the photo as it is seen, upright, RGB, in [0, 1].

First station on the way of the data. Whatever is wrong with a file is said in an `InputError`:
decoders raise many things on damaged files, and none of them comes through.
"""

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import Image

from decontext.errors import InputError
from decontext.photo.behind import describe_behind
from decontext.photo.boxes import describe_boxes
from decontext.photo.codes import profile_of_codes
from decontext.photo.colour import to_plain
from decontext.photo.depth import check_planes, is_deep, read_deep
from decontext.photo.limits import check_pixels
from decontext.photo.metadata import read_metadata
from decontext.photo.opening import Readable, explained, identify, open_file, read_all
from decontext.photo.photo import SMALLEST_SIDE, Photo
from decontext.photo.png import (
    Chunks,
    describe_colour_chunks,
    read_colour_chunks,
    read_colour_codes,
)
from decontext.photo.unfolding import choose_profile, unfold

_NAMES = {
    "JPEG": "photo.jpg",
    "WEBP": "photo.webp",
    "TIFF": "photo.tiff",
    "BMP": "photo.bmp",
    "HEIF": "photo.heic",
    "AVIF": "photo.avif",
}
"""What a photo from memory is called; `photo.png` where the format has no name here."""

_MOST_PREVIEWS = 10

_PNG_HEAD = 2**24
"""Bytes in which a PNG file has said what its colours are; the pixels come behind."""


def load_photo(source: Readable, *, max_pixels: int | None = None) -> Photo:
    """Read a photo upright, as sRGB in [0, 1].

    Args:
        source: a file's path, or its bytes, or an open binary file, which is read from its start
            where it can be rewound and is left open.
        max_pixels: how large a picture may be; by default 120 million pixels, or what the
            environment variable `DECONTEXT_MAX_PIXELS` says.

    Raises:
        InputError: no such file, a folder, not a picture, damaged, animated, too large, or smaller
            than 16 pixels.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with open_file(path) as file, explained(str(path)):
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return _load(file, str(path), path=path, digest=digest, max_pixels=max_pixels)
    content = read_all(source)
    digest = hashlib.sha256(content).hexdigest()
    return _load(io.BytesIO(content), "the photo", path=None, digest=digest, max_pixels=max_pixels)


def read_image(
    image: Image.Image,
    name: str,
    *,
    path: Path | None,
    digest: str,
    file: IO[bytes] | None = None,
) -> Photo:
    """Everything that is kept of an opened picture; call it within `explained`.

    With the `file` that it was opened from, what Pillow does not see is read too: 16 bits of
    several channels, colour codes, and what lies behind the picture.

    Raises:
        InputError: several pages, too small, or colours that cannot be converted.
    """
    left_out = _check_form(image, name)
    mode, file_format = image.mode, "JPEG" if image.format == "MPO" else image.format or "PNG"
    icc = image.info.get("icc_profile")
    icc = icc if isinstance(icc, bytes) and icc else None
    deep = None
    colours: Chunks = ()
    if file is not None:
        coded, colours, more = _look_into(
            file, image.format or "", name, has_profile=icc is not None
        )
        icc, left_out = icc or coded, [*left_out, *more]
        check_planes(image)
        if is_deep(image):
            deep = read_deep(lambda: identify(file, name))
    if file_format == "TIFF":
        # Pillow turns TIFF files upright while loading, and forgets how they lay.
        kept = replace(read_metadata(image), shown=1)
        picture, deep, notes = to_plain(image, deep)
    else:
        # PNG files may carry metadata behind the pixels.
        picture, deep, notes = to_plain(image, deep)
        kept = read_metadata(image)
    if file_format == "HEIF":  # It is upright by now, whatever the EXIF data say.
        kept = replace(kept, shown=1)
    mode = "LA" if deep is not None and deep.shape[2] == 2 else mode  # Pillow says RGBA.
    icc, space, icc_notes = choose_profile(icc, picture.mode)
    options = _read_options(image)
    if file is not None and file_format == "PNG":
        options["png_colours"] = colours
        icc_notes = (*icc_notes, *_note_colours(colours, icc))
    pixels, alpha, own = unfold(picture, deep, icc=icc, space=space, shown=kept.shown)
    return Photo(
        pixels=pixels,
        path=path or Path(_NAMES.get(file_format, "photo.png")),
        format=file_format,
        mode=mode,
        alpha=alpha,
        icc=icc,
        own=own,
        exif=kept.exif,
        xmp=kept.xmp,
        iptc=kept.iptc,
        texts=kept.texts,
        orientation=kept.orientation,
        options=options,
        notes=(*notes, *icc_notes, *left_out, *kept.notes),
        sha256=digest,
        from_file=path is not None,
    )


def _load(
    file: IO[bytes], name: str, *, path: Path | None, digest: str, max_pixels: int | None
) -> Photo:
    """Read an open file that can be rewound."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    with explained(name), identify(file, name) as image:
        check_pixels(image.size, length, name, limit=max_pixels)
        return read_image(image, name, path=path, digest=digest, file=file)


def _look_into(
    file: IO[bytes], file_format: str, name: str, *, has_profile: bool
) -> tuple[bytes | None, Chunks, list[str]]:
    """What Pillow does not say of a file: a profile made of colour codes, chunks, and notes.

    Raises:
        InputError: its colours are of HDR, or not known.
    """
    codes, notes = None, []
    colours: Chunks = ()
    if file_format in ("HEIF", "AVIF"):
        file.seek(0)
        said = describe_boxes(file.read())
        codes = said.primaries, said.transfer
        if said.depth > 8:
            notes.append(f"{said.depth} bits per channel are read as 8")
        if said.others:
            notes.append(f"left out: {', '.join(said.others)} in the file")
    elif file_format == "PNG":
        file.seek(0)
        head = file.read(_PNG_HEAD)
        codes, colours = read_colour_codes(head), read_colour_chunks(head)
    behind = describe_behind(file, file_format)
    if behind:
        notes.append(f"left out: {behind}")
    if codes is None or (has_profile and codes[1] not in (16, 18)):
        return None, colours, notes
    return profile_of_codes(*codes, name), colours, notes


def _check_form(image: Image.Image, name: str) -> list[str]:
    """Refuse what is not one photo of a useful size; notes on what else is in the file."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    # An MPO file is a phone's JPEG with further pictures, such as a depth map, behind the photo.
    if frames > 1 and image.format == "HEIF" and not _is_sequence(image):
        notes = ["the further pictures in this file are left out"]
    elif frames > 1 and image.format == "TIFF" and _has_previews_only(image, frames):
        notes = ["the smaller copies of the photo in this file are left out"]
    elif frames > 1 and image.format != "MPO":
        raise InputError(
            f"{name} is animated or has several pages ({frames}); it must be one picture.",
            "Save the one to protect as PNG first.",
        )
    if min(image.size) < SMALLEST_SIDE:
        raise InputError(
            f"{name} is {image.width} x {image.height} pixels; "
            f"both sides must be at least {SMALLEST_SIDE}."
        )
    return notes


def _note_colours(chunks: Chunks, icc: bytes | None) -> list[str]:
    """A note on what editors do not heed, unlike some programs that show the file."""
    said = "" if icc else describe_colour_chunks(chunks)
    if not said:
        return []
    return [f"the file names {said}, which editors do not heed; it is kept in PNG files"]


def _is_sequence(image: Image.Image) -> bool:
    """Whether a HEIC file holds a moving picture."""
    return "sequence" in str(getattr(image, "custom_mimetype", ""))


def _has_previews_only(image: Image.Image, frames: int) -> bool:
    """Whether all pages of a TIFF file but the first say that they are reduced copies."""
    reduced = frames <= _MOST_PREVIEWS
    for number in range(1, frames if reduced else 0):
        image.seek(number)
        kind = image.tag_v2.get(254, 0)  # type: ignore[attr-defined]
        reduced = reduced and isinstance(kind, int) and bool(kind & 1)
    image.seek(0)
    return reduced


def _read_options(image: Image.Image) -> dict[str, Any]:
    """How the file was written, for the next one; a resolution that makes no sense is left out."""
    info = image.info
    options: dict[str, Any] = {
        key: info[key] for key in ("progressive", "compression") if key in info
    }
    try:
        horizontal, vertical = (float(value) for value in info["dpi"])
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return options
    if 1 <= horizontal <= 30_000 and 1 <= vertical <= 30_000:
        options["dpi"] = (horizontal, vertical)
    return options
