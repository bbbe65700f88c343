"""What a file says beside its pixels: what is kept, what is left out, and what is personal.

Used by `reading` and by whoever saves a photo. EXIF, XMP and IPTC data are kept as they are, but
for the pictures in them and for an orientation that is not the one in which pixels are saved.
"""

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
from decontext.photo.iptc import RESOURCE, iptc_names_place, read_iptc, remove_place
from decontext.photo.photo import Photo
from decontext.photo.previews import remove_previews
from decontext.photo.texts import Texts, read_texts, text_names_place
from decontext.photo.tiff import PHOTOSHOP
from decontext.photo.xmp import names_place, read_xmp

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

_PHOTOSHOP_DIGEST = 0x0425
_PHOTOSHOP_LAYERS = 37724


@dataclass(frozen=True)
class Kept:
    """The metadata of a file that are saved again.

    Attributes:
        exif: EXIF block with its prefix and without pictures, or None.
        xmp: XMP packet, or None.
        iptc: datasets of IPTC, or None.
        texts: name and text, of comments and of PNG files.
        shown: orientation in which viewers show the stored pixels, 1..8.
        orientation: the one that the EXIF block gives, under which they are saved.
        notes: what is left out and what personal data stay, in words for the user.
    """

    exif: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    texts: Texts
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
    xmp, xmp_note = read_xmp(image, orientation)
    iptc, iptc_note = read_iptc(image)
    texts, text_note = read_texts(image)
    others = _list_others(image)
    notes += [note for note in (xmp_note, iptc_note, text_note) if note]
    notes += [f"left out: {', '.join(others)}"] * bool(others)
    notes += _note_personal(exif, xmp, iptc, texts)
    return Kept(exif, xmp, iptc, texts, shown, orientation, tuple(notes))


def choose_metadata(photo: Photo, keep: Metadata) -> Photo:
    """The photo with as much metadata as somebody wants in the saved file.

    Args:
        photo: as it was read.
        keep: `keep`: all that could be; `no-location`: without the place where it was taken, and
            without XMP data and texts where they name one; `none`: no EXIF, XMP and IPTC data and
            no texts at all. The colour profile and the resolution stay, and the photo is shown as
            before.

    Raises:
        InputError: another word.
    """
    if keep not in ("keep", "no-location", "none"):
        raise InputError(f"metadata is {keep!r}; it must be 'keep', 'no-location' or 'none'.")
    if keep == "keep":
        return photo
    notes = tuple(note for note in photo.notes if not note.startswith(KEPT))
    if keep == "none":
        bare = replace(photo, exif=None, xmp=None, iptc=None, texts=())
        return replace(bare, orientation=1, notes=notes)
    exif = None if photo.exif is None else _remove_place(photo.exif)
    xmp, iptc = photo.xmp, photo.iptc
    if xmp is not None and names_place(xmp):
        xmp, notes = None, (*notes, "the XMP data are left out: they name a place")
    if iptc is not None:
        iptc = remove_place(iptc)
    texts = tuple(text for text in photo.texts if not text_names_place(text))
    notes = (*notes, *_note_personal(exif, xmp, iptc, texts))
    return replace(photo, exif=exif, xmp=xmp, iptc=iptc, texts=texts, notes=notes)


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


def _list_others(image: Image.Image) -> list[str]:
    """What the file says in ways that are not saved again."""
    found = []
    tags = getattr(image, "tag_v2", {})
    resources = image.info.get("photoshop")
    known = {RESOURCE, _PHOTOSHOP_DIGEST}
    if PHOTOSHOP in tags or (isinstance(resources, dict) and set(resources) - known):
        found.append("Photoshop's own data")
    if _PHOTOSHOP_LAYERS in tags:
        found.append("Photoshop's layers")
    return found


def _note_personal(
    exif: bytes | None,
    xmp: bytes | None,
    iptc: bytes | None,
    texts: Texts,
) -> list[str]:
    """One note on what the saved file says about people and places."""
    found = list(dict.fromkeys(_list_personal(exif or b"")))
    if xmp is not None:
        place = " with a place" if names_place(xmp) else ""
        found.append(f"XMP data{place}, in which names may stand")
    if iptc is not None:
        place = " with a place" if iptc_names_place(iptc) else ""
        found.append(f"captions and keywords (IPTC){place}, in which names may stand")
    if texts:
        place = " with a place" if any(text_names_place(t) for t in texts) else ""
        names = ", ".join(dict.fromkeys(name for name, _ in texts[:5]))
        found.append(f"texts ({names}){place}")
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
