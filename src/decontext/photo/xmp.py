"""XMP packets: what describes the photo stays, what names or holds further pictures goes.

Used by `metadata` and `saving`.
"""

import re

from PIL import Image

_PICTURES = re.compile(
    rb"Thumbnails|x[am]pGImg|GImage|GDepth|Container:|GCamera:M|hdrgm:|HDRGainMap:|/9j/|iVBORw0KGgo"
)
"""Small pictures, or further ones behind the photo, which are not saved."""

_PICTURE_NAMES = (
    rb"(?:G?Container|Item|GContainerItem|GCamera|GDepth|GImage|GAudio|hdrgm|HDRGainMap|MiCamera"
    rb"|x[am]pGImg)"
)
_PICTURE_PARTS = (
    re.compile(
        rb"<(%s:[\w.-]+|xmp:Thumbnails)\b[^>]*?(?:/>|>.*?</\1\s*>)" % _PICTURE_NAMES, re.DOTALL
    ),
    re.compile(
        rb"\s(?:xmlns:%s|%s:[\w.-]+|xmpNote:HasExtendedXMP)\s*=\s*(?:\"[^\"]*\"|'[^']*')"
        % (_PICTURE_NAMES, _PICTURE_NAMES)
    ),
)
"""Elements and attributes that name such pictures; the others can stay."""

_PLACE = re.compile(rb"GPS|geo:|:(Sub-?)?location|:(Province)?State\b|:City\b|:Country", re.I)
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)(\d+)")
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
"""How further segments of JPEG begin, with what did not fit into the packet."""

_EXTENDED = re.compile(
    rb"<(xmpNote:HasExtendedXMP)\b[^>]*?(?:/>|>.*?</\1\s*>)"
    rb"|\sxmpNote:HasExtendedXMP\s*=\s*(?:\"[^\"]*\"|'[^']*')",
    re.DOTALL,
)
"""Where a packet says that there are such."""

_LARGEST = 65_000
"""Bytes: what a segment of JPEG can hold."""


def names_place(xmp: bytes) -> bool:
    """Whether a packet says where the photo was taken."""
    return _PLACE.search(xmp) is not None


def with_orientation(xmp: bytes, orientation: int) -> bytes:
    """The packet with this orientation, where it names one."""
    return _ORIENTATION.sub(rb"\g<1>%d" % orientation, xmp)


def read_xmp(image: Image.Image, orientation: int) -> tuple[bytes | None, str]:
    """The XMP packet that is kept, and a note on why there is none where there was one."""
    xmp, note = _read_packet(image, orientation)
    if _is_extended(image):
        extended = "the extended XMP data, which did not fit into the packet, are left out"
        note = f"{note}; {extended}" if note else extended
        xmp = None if xmp is None else _EXTENDED.sub(b"", xmp)
    return xmp, note


def _is_extended(image: Image.Image) -> bool:
    """Whether a JPEG has XMP data behind its packet: edit histories, masks, depth maps."""
    return any(
        isinstance(content, bytes) and content.startswith(_EXTENSION)
        for _, content in getattr(image, "applist", ())
    )


def _read_packet(image: Image.Image, orientation: int) -> tuple[bytes | None, str]:
    xmp = image.info.get("xmp")
    xmp = xmp.encode("utf-8", "surrogateescape") if isinstance(xmp, str) else xmp
    if not isinstance(xmp, bytes) or not xmp.strip(b"\x00 \r\n"):
        return None, ""
    try:
        xmp.decode("utf-8")
    except UnicodeDecodeError:
        return None, "damaged XMP data are left out"
    note = ""
    if _PICTURES.search(xmp):
        for part in _PICTURE_PARTS:
            xmp = part.sub(b"", xmp)
        if _PICTURES.search(xmp):
            return None, "the XMP data are left out: they hold or name further pictures"
        note = "what the XMP data say about further pictures is left out"
    if len(xmp) > _LARGEST or b"\x00" in xmp:
        return None, "the XMP data are left out: they are too long, or damaged"
    return with_orientation(xmp, orientation), note
