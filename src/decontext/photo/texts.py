"""Comments of JPEG and GIF files and the texts of PNG files.

Used by `metadata`.
"""

import re
from collections.abc import Iterable

from PIL import Image

from decontext.photo.previews import blank_pictures

Texts = tuple[tuple[str, str], ...]
"""Name and text; a comment is called `Comment`."""

_PLACE = re.compile(r"GPS|latitude|longitude|\bgeo:", re.I)
_MOST_TEXTS, _LONGEST_TEXTS = 200, 2**20
_NOT_TEXTS = ("XML:com.adobe.xmp", "Raw profile type")
"""Names under which PNG files keep other data as texts."""


def text_names_place(text: Iterable[str]) -> bool:
    """Whether a text or its name says where the photo was taken."""
    return _PLACE.search(" ".join(text)) is not None


def read_texts(image: Image.Image) -> tuple[Texts, str]:
    """Comments and texts that are kept, and a note where some are not."""
    texts: dict[object, object] = {}
    if image.format == "PNG":
        texts = dict(getattr(image, "text", {}))
    elif image.format in ("JPEG", "MPO", "GIF") and image.info.get("comment"):
        texts = {"Comment": image.info["comment"]}
    kept: list[tuple[str, str]] = []
    left_out: list[str] = []
    length = 0
    for name, text in texts.items():
        if str(name).startswith(_NOT_TEXTS):
            continue
        words = _decode(text)
        length += len(words)
        is_plain = words and "\x00" not in words and _is_name(str(name))
        is_short = len(kept) < _MOST_TEXTS and length < _LONGEST_TEXTS
        if is_plain and is_short and not blank_pictures(bytearray(words, "utf-8", "replace")):
            kept.append((str(name), words))
        elif words:
            left_out.append(str(name) if _is_name(str(name)) else "one without a name")
    note = f"texts that are left out: {', '.join(left_out[:5])}" if left_out else ""
    return tuple(kept), note


def _decode(text: object) -> str:
    if isinstance(text, bytes):
        text = text.rstrip(b"\x00")
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            return text.decode("latin-1")
    return text if isinstance(text, str) else ""


def _is_name(name: str) -> bool:
    """Whether PNG allows it as the name of a text."""
    return 1 <= len(name) <= 79 and name.isprintable() and name.isascii() and name == name.strip()
