"""A picture file as a float tensor: the photo as it is seen, upright, RGB, in [0, 1].

First station on the way of the data. Whatever is wrong with a file is said in an `InputError`:
decoders raise many things on damaged files, and none of them comes through.
"""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from decontext.errors import InputError
from decontext.photo.behind import describe_behind
from decontext.photo.boxes import describe_boxes
from decontext.photo.codes import profile_of_codes
from decontext.photo.colour import to_plain
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.depth import check_planes, is_deep, read_deep
from decontext.photo.heif import is_heif, open_heif
from decontext.photo.limits import check_pixels
from decontext.photo.metadata import read_metadata
from decontext.photo.photo import SMALLEST_SIDE, Photo
from decontext.photo.png import read_colour_codes
from decontext.photo.unfolding import choose_profile, unfold

Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]

_READ = {
    plugin.format: plugin
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        TiffImagePlugin.TiffImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        AvifImagePlugin.AvifImageFile,
    )
}
"""The formats that are opened; no other decoder ever sees a file."""

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

_LARGEST_STREAM = 2**30
"""Bytes of a file that came as bytes or as a file object."""


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
        with _open_file(path) as file, explained(str(path)):
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return _load(file, str(path), path=path, digest=digest, max_pixels=max_pixels)
    content = _read_all(source)
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
    if file is not None:
        coded, more = _look_into(file, image.format or "", name, has_profile=icc is not None)
        icc, left_out = icc or coded, [*left_out, *more]
        check_planes(image)
        if is_deep(image):
            deep = read_deep(lambda: _identify(file, name))
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
        options=_read_options(image),
        notes=(*notes, *icc_notes, *left_out, *kept.notes),
        sha256=digest,
        from_file=path is not None,
    )


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an error that says what to do."""
    try:
        with quiet_decoders():
            yield
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} is too large ({error}).", "Make it smaller first.") from None
    except MemoryError as error:
        raise InputError(
            f"{name} needs more memory than there is.", "Make it smaller first."
        ) from error
    except DECODER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{name} is damaged or cut short ({reason}).", "Get a complete copy of it."
        ) from error


def _load(
    file: IO[bytes], name: str, *, path: Path | None, digest: str, max_pixels: int | None
) -> Photo:
    """Read an open file that can be rewound."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    with explained(name), _identify(file, name) as image:
        check_pixels(image.size, length, name, limit=max_pixels)
        return read_image(image, name, path=path, digest=digest, file=file)


def _look_into(
    file: IO[bytes], file_format: str, name: str, *, has_profile: bool
) -> tuple[bytes | None, list[str]]:
    """What Pillow does not say of a file: a profile made of colour codes, and notes.

    Raises:
        InputError: its colours are of HDR, or not known.
    """
    codes, notes = None, []
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
        codes = read_colour_codes(file.read())
    behind = describe_behind(file, file_format)
    if behind:
        notes.append(f"left out: {behind}")
    if codes is None or (has_profile and codes[1] not in (16, 18)):
        return None, notes
    return profile_of_codes(*codes, name), notes


def _identify(file: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Open a file with the decoder of its format, without decoding pixels.

    Not `Image.open`: that compares with a limit of its own, which only a global setting changes.
    """
    file.seek(0)
    start = file.read(64)
    file.seek(0)
    if is_heif(start):
        return open_heif(file, name)
    for file_format in _READ:
        factory, accept = Image.OPEN[file_format]
        accepted = accept is None or accept(start)
        if accepted is True:
            return factory(file, "")
        if accepted:
            raise InputError(
                f"{name} is {file_format}, which this Pillow cannot read.",
                "Run: pip install -U pillow",
            )
    raise InputError(
        f"{name} is not a picture that can be read here.",
        "Convert it to JPEG, PNG, WebP, TIFF, HEIC, AVIF or BMP first.",
    )


def _open_file(path: Path) -> io.BufferedReader:
    """Raises: InputError: it is missing, a folder, no file, or may not be read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder; it must be a picture.", "Give one file in it.")
        if not stat.S_ISREG(mode):  # Opening a pipe could wait for ever.
            raise InputError(f"{path} is not a file.", "Save the picture to a file first.")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}.", "Check the name and the folder.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read.", "Check its permissions.") from None
    except (OSError, ValueError) as error:  # A name that is too long, or holds a zero byte.
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read ({reason}).", "Check the name.") from None


def _read_all(source: bytes | bytearray | memoryview | IO[bytes]) -> bytes | bytearray | memoryview:
    """The bytes of a file that came as such or as a file object. Raises: InputError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return source
    if not callable(getattr(source, "read", None)):
        raise InputError(
            f"the photo is of type {type(source).__name__}; it must be a path, bytes, or a file "
            "open for reading bytes."
        )
    try:
        source.seek(0)
    except (AttributeError, OSError, ValueError):
        pass  # A stream: from where it is.
    try:
        content = source.read(_LARGEST_STREAM + 1)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"the photo cannot be read from its file ({error}).") from error
    if not isinstance(content, bytes):
        raise InputError(
            f"reading the photo's file gives {type(content).__name__}; it must give bytes.",
            "Open it with mode 'rb', or read it first.",
        )
    if len(content) > _LARGEST_STREAM:
        raise InputError("the photo's file is larger than 1 GiB.", "Give its path instead.")
    return content


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
