"""What a file says beside its pixels: what is kept, what is left out, and what is personal.

Used by `reading` and by whoever saves a photo. EXIF and XMP data are kept as they are, but for the
pictures in them and for an orientation that is not the one in which the pixels are saved.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from PIL import ExifTags, Image

from decontext.errors import InputError
from decontext.photo.directories import (
    EXIF_POINTER,
    GPS_POINTER,
    PREFIX,
    byte_order,
    erase,
    first_directory,
    read_entries,
    remove_entry,
)
from decontext.photo.exif import read_exif, read_orientation
from decontext.photo.photo import Photo
from decontext.photo.previews import remove_previews

Metadata = Literal["keep", "no-location", "none"]
"""What is saved with a photo: all that was kept, all but the place, or nothing but its colours."""

KEPT = "kept in the saved file: "
"""How the note on personal data begins."""

_PERSONAL: dict[int, str] = {
    ExifTags.Base.Artist: "the author's name",
    ExifTags.Base.XPAuthor: "the author's name",
    ExifTags.Base.Copyright: "the copyright note",
    ExifTags.Base.HostComputer: "the computer's name",
    ExifTags.Base.CameraOwnerName: "the owner's name",
    ExifTags.Base.BodySerialNumber: "the camera's serial number",
    ExifTags.Base.LensSerialNumber: "the lens's serial number",
    ExifTags.Base.MakerNote: "the camera's own notes, in which its serial number may stand",
}

_XMP_PICTURES = re.compile(rb"Thumbnails|xmpGImg|GImage|GDepth|Container:|/9j/|iVBORw0KGgo")
"""Small pictures, or further ones behind the photo, which are not saved."""

_XMP_PLACE = re.compile(rb"GPS|geo:|:(Sub-?)?location|:(Province)?State\b|:City\b|:Country", re.I)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)(\d+)")
_LARGEST_XMP = 65_000
"""Bytes: what a segment of JPEG can hold."""


@dataclass(frozen=True)
class Kept:
    """The metadata of a file that are saved again.

    Attributes:
        exif: EXIF block with its prefix and without pictures, or None.
        xmp: XMP packet, or None.
        shown: orientation in which viewers show the stored pixels, 1..8.
        orientation: the one that the EXIF block gives, under which they are saved.
        notes: what is left out and what personal data stay, in words for the user.
    """

    exif: bytes | None
    xmp: bytes | None
    shown: int
    orientation: int
    notes: tuple[str, ...]


def read_metadata(image: Image.Image) -> Kept:
    """What is kept of an opened file: ask before loading a TIFF, after it otherwise."""
    notes = []
    exif, shown, is_damaged = read_exif(image)
    if exif is not None:
        block, had_preview = remove_previews(exif.removeprefix(PREFIX))
        exif = PREFIX + block
        if had_preview:
            notes.append("the preview in the EXIF data is left out: it shows the unprotected photo")
    if is_damaged:
        notes.append("damaged EXIF data are left out")
    if image.format == "MPO":
        notes.append("the further pictures in this file are left out")
    orientation = read_orientation(exif)
    xmp, xmp_note = _read_xmp(image, orientation)
    others = _list_others(image)
    notes += [xmp_note] * bool(xmp_note)
    notes += [f"left out: {', '.join(others)}"] * bool(others)
    return Kept(exif, xmp, shown, orientation, (*notes, *_note_personal(exif, xmp)))


def choose_metadata(photo: Photo, keep: Metadata) -> Photo:
    """The photo with as much metadata as somebody wants in the saved file.

    Args:
        photo: as it was read.
        keep: `keep`: all that could be; `no-location`: without the place where it was taken, and
            without XMP data where they name one; `none`: no EXIF and XMP data at all. The colour
            profile and the resolution stay, and the photo is shown as before.

    Raises:
        InputError: another word.
    """
    if keep not in ("keep", "no-location", "none"):
        raise InputError(f"metadata is {keep!r}; it must be 'keep', 'no-location' or 'none'.")
    if keep == "keep":
        return photo
    notes = tuple(note for note in photo.notes if not note.startswith(KEPT))
    if keep == "none":
        return replace(photo, exif=None, xmp=None, orientation=1, notes=notes)
    exif = None if photo.exif is None else _remove_place(photo.exif)
    xmp = photo.xmp
    if xmp is not None and _XMP_PLACE.search(xmp):
        xmp, notes = None, (*notes, "the XMP data are left out: they name a place")
    return replace(photo, exif=exif, xmp=xmp, notes=(*notes, *_note_personal(exif, xmp)))


def _remove_place(exif: bytes) -> bytes:
    """The block without its GPS directory; everything else stays where it is."""
    body = bytearray(exif.removeprefix(PREFIX))
    order = byte_order(body)
    if order is None:
        return exif
    first = first_directory(body, order)
    while True:
        pointers = [e for e in read_entries(body, first, order) if e.tag == GPS_POINTER]
        if not pointers:
            return PREFIX + bytes(body)
        directory = pointers[0].number(order)
        for entry in list(read_entries(body, directory, order)):
            erase(body, entry.start, len(entry.value))
            erase(body, entry.place, 12)
        remove_entry(body, first, pointers[0], order)


def _read_xmp(image: Image.Image, orientation: int) -> tuple[bytes | None, str]:
    """The XMP packet that is kept, and a note on why there is none where there was one."""
    xmp = image.info.get("xmp")
    xmp = xmp.encode("utf-8", "surrogateescape") if isinstance(xmp, str) else xmp
    if not isinstance(xmp, bytes) or not xmp.strip(b"\x00 \r\n"):
        return None, ""
    try:
        xmp.decode("utf-8")
    except UnicodeDecodeError:
        return None, "damaged XMP data are left out"
    if _XMP_PICTURES.search(xmp):
        return None, "the XMP data are left out: they hold or name further pictures"
    if len(xmp) > _LARGEST_XMP or b"\x00" in xmp:
        return None, "the XMP data are left out: they are too long, or damaged"
    return _XMP_ORIENTATION.sub(rb"\g<1>%d" % orientation, xmp), ""


def _list_others(image: Image.Image) -> list[str]:
    """What the file says in ways that are not saved again."""
    found = []
    tags = getattr(image, "tag_v2", {})
    if "photoshop" in image.info or 33723 in tags or 34377 in tags:
        found.append("Photoshop's data with captions and keywords (IPTC)")
    if image.info.get("comment"):
        found.append("the comment")
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    names = [n for n in texts if n != "XML:com.adobe.xmp" and not n.startswith("Raw profile")]
    if names:
        shown = ", ".join(name for name in names[:5] if name.isprintable())
        found.append(f"the file's texts ({shown})")
    return found


def _note_personal(exif: bytes | None, xmp: bytes | None) -> list[str]:
    """One note on what the saved file says about people and places."""
    found = list(dict.fromkeys(_list_personal(exif or b"")))
    if xmp is not None:
        place = " with a place" if _XMP_PLACE.search(xmp) else ""
        found.append(f"XMP data{place}, in which names may stand")
    if not found:
        return []
    removing = "--strip-metadata removes it"
    if any("place" in item for item in found):
        removing += ", --strip-location the place alone"
    return [f"{KEPT}{', '.join(found)} ({removing})"]


def _list_personal(exif: bytes) -> list[str]:
    block = exif.removeprefix(PREFIX)
    order = byte_order(block)
    if order is None:
        return []
    found: list[str] = []
    for entry in read_entries(block, first_directory(block, order), order):
        if entry.tag == GPS_POINTER and any(read_entries(block, entry.number(order), order)):
            found.insert(0, "the place where it was taken (GPS)")
        elif entry.tag == EXIF_POINTER:
            inner = read_entries(block, entry.number(order), order)
            found += [_PERSONAL[e.tag] for e in inner if e.tag in _PERSONAL and any(e.value)]
        elif entry.tag in _PERSONAL and entry.value.strip(b"\x00 "):
            found.append(_PERSONAL[entry.tag])
    return found
