"""What a format cannot keep of a photo, in words: said before and after, never silent.

Used by `saving` and by whoever writes a report.
"""

from pathlib import Path

from decontext.photo.exif import read_orientation
from decontext.photo.formats import Format, format_of
from decontext.photo.photo import Photo
from decontext.photo.png import describe_colour_chunks


def describe_losses(photo: Photo, path: str | Path | None) -> tuple[str, ...]:
    """What saving the photo under this name changes or leaves out, beside its pixels.

    Nothing where it is saved nowhere.

    Raises:
        InputError: the name is none of a picture that can be saved.
    """
    if path is None:
        return ()
    form = format_of(Path(path))
    return (*_colours(photo, form), *_metadata(photo, form))


def holds_own(photo: Photo, form: Format) -> bool:
    """Whether the file's own colours can be kept, in 8 bits at least."""
    if photo.own is None or photo.own.channels not in form.colours:
        return False
    return photo.own.is_deep or photo.own.space is not None


def is_kept_deep(photo: Photo, form: Format) -> bool:
    """Whether the file's 16 bits are kept."""
    return (
        photo.own is not None and photo.own.is_deep and form.depth == 16 and holds_own(photo, form)
    )


def _colours(photo: Photo, form: Format) -> list[str]:
    own, found = photo.own, []
    chunks = describe_colour_chunks(photo.options.get("png_colours", ()))
    if chunks and form.name != "PNG" and not photo.icc:
        found.append(f"{form.name} files cannot hold what is left out: {chunks}")
    if own is None:
        if photo.icc and not form.colours:
            found.append(f"{form.name} files hold no colour profile: sRGB is left out")
        return found
    if own.is_deep and not is_kept_deep(photo, form):
        found.append("16 bits per channel are saved as 8")
    if own.channels == 4 and not holds_own(photo, form):
        found.append("the CMYK picture is saved as RGB")
    elif own.space is not None and not holds_own(photo, form):
        found.append("the colours are saved as sRGB, without the photo's colour profile")
    return found


def _metadata(photo: Photo, form: Format) -> list[str]:
    has = {
        "exif": photo.exif is not None and _says_more(photo),
        "xmp": photo.xmp is not None,
        "iptc": photo.iptc is not None,
        "comment": any(name == "Comment" for name, _ in photo.texts),
        "texts": any(name != "Comment" for name, _ in photo.texts),
    }
    words = {
        "exif": "EXIF data",
        "xmp": "XMP data",
        "iptc": "captions and keywords (IPTC)",
        "comment": "the comment",
        "texts": "the file's texts",
    }
    lost = [words[key] for key in words if has[key] and key not in form.metadata]
    return [f"{form.name} files cannot hold what is left out: {', '.join(lost)}"] if lost else []


def _says_more(photo: Photo) -> bool:
    """Whether the EXIF data say more than how the pixels lie."""
    return len(photo.exif or b"") > 32 or read_orientation(photo.exif) == 1
