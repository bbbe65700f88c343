"""What lies behind the picture in a file: a phone's video or further pictures, never saved again.

Used by `reading`. Viewers stop at the end of the picture, so that most people do not know of it.
"""

import os
from typing import IO

from decontext.photo.png import read_chunks
from decontext.photo.previews import find_jpeg_end

_FEW = 64
"""Bytes that programs leave there without meaning."""

_LARGEST = 2**28
"""Bytes of a file that is looked through."""


def describe_behind(file: IO[bytes], file_format: str) -> str:
    """In words what lies behind the picture of a JPEG or PNG file; empty where nothing does."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    if length > _LARGEST or file_format not in ("JPEG", "MPO", "PNG"):
        return ""
    content = bytearray(file.read())
    if file_format == "PNG":
        end = next((stop + 4 for kind, _, stop in read_chunks(content) if kind == b"IEND"), None)
    else:
        end = find_jpeg_end(content)
    if end is None or not content[end:].strip(b"\x00"):
        return ""
    rest = memoryview(content)[end:]
    if content.find(b"ftyp", end) >= 0:
        return "the video behind the photo (a motion photo)"
    if content.find(b"\xff\xd8\xff", end) >= 0 and file_format != "MPO":
        return "further pictures behind the photo"
    if len(rest) > _FEW and file_format != "MPO":
        return f"{len(rest):,} bytes behind the photo"
    return ""
