"""Files of any kind up to the decoder that suits them, and decoders' errors in plain words.

Used by `reading` and `sources`: no pixel is decoded here.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.heif import is_heif, open_heif

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

_LARGEST_STREAM = 2**30
"""Bytes of a file that came as bytes or as a file object."""


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


def identify(file: IO[bytes], name: str) -> ImageFile.ImageFile:
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


def open_file(path: Path) -> io.BufferedReader:
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


def read_all(source: bytes | bytearray | memoryview | IO[bytes]) -> bytes | bytearray | memoryview:
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
