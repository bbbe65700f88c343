"""A picture as a file like the photo's: format, mode, transparency, profile, EXIF, orientation.

Last station on the way of the data. What could go wrong is found before the work: `check_output`
saves a small stand-in with the photo's own metadata.

Differs from the original code, which crops to the centre, truncates to whole levels and loses EXIF
and colour profile.
"""

from pathlib import Path

from torch import Tensor

from decontext.errors import InputError
from decontext.photo.composing import compose, make_stand_in
from decontext.photo.encoding import encode
from decontext.photo.files import check_writable, write_whole
from decontext.photo.formats import Format, format_of
from decontext.photo.levels import describe_size
from decontext.photo.losses import is_kept_deep
from decontext.photo.photo import Photo

_MOST_BYTES = {"TIFF": 2**32, "BMP": 2**32}


def check_output(photo: Photo, path: str | Path, *, quality: int | None = None) -> None:
    """Find out before the work whether the result could be saved there.

    Raises:
        InputError: unknown ending, transparency, a size or metadata that the format cannot hold, a
            quality outside 1..100, a folder in the way, an impossible name, or a folder that is
            missing or cannot be written to.
    """
    path = Path(path)
    form = _check_form(photo, path, quality)
    check_writable(path)
    encode(make_stand_in(photo, form), photo, form, quality)


def save_photo(
    image: Tensor, photo: Photo, path: str | Path, *, quality: int | None = None
) -> None:
    """Write a picture as a file like the photo's; the format follows the ending of `path`.

    Size, mode, transparency, colour profile, metadata and the stored orientation are the photo's
    (`choose_metadata` gives one with less; `describe_losses` says what the format cannot hold).
    PNG, WebP, TIFF and BMP keep every level. Of files with 16 bits or other colours than sRGB the
    change is added to their own values, and no level that an editor sees moves further than the
    largest change of the picture given. The file appears whole or not at all.

    Args:
        image: `(1, 3, height, width)` in [0, 1], upright, of the photo's size.
        photo: what it was made from.
        path: where to; an existing file is replaced.
        quality: of JPEG, HEIC and AVIF, 1..100; 95 by default; colour has its full resolution but
            in HEIC.

    Raises:
        InputError: what `check_output` finds, another size than the photo's, colour in a grey
            photo, a full disk.
    """
    path = Path(path)
    form = _check_form(photo, path, quality)
    if image.shape != photo.pixels.shape:
        raise InputError(
            f"the picture to save is {describe_size(image)}; the photo is "
            f"{describe_size(photo.pixels)}, and both must be the same."
        )
    picture = compose(image, photo, form)
    # Encoded in memory, so that a full disk shows as such and not as an encoder's error.
    write_whole(encode(picture, photo, form, quality), path)


def _check_form(photo: Photo, path: Path, quality: int | None) -> Format:
    """What can be said without writing. Raises: InputError."""
    form = format_of(path)
    if photo.alpha is not None and not form.opacity:
        raise InputError(
            f"the photo has transparency, which {form.name} cannot hold.",
            "Save it as .png, .webp, .avif or .tiff.",
        )
    width, height = photo.size
    most = _MOST_BYTES.get(form.name)
    bytes_each = 8 if is_kept_deep(photo, form) else 4
    too_long = form.longest is not None and max(photo.size) > form.longest
    if too_long or (most and bytes_each * width * height >= most):
        limit = f"up to {form.longest} pixels a side" if too_long else "files of up to 4 GB"
        raise InputError(
            f"the photo is {width} x {height} pixels and cannot be written as {form.name}, "
            f"which holds {limit}.",
            "Save it as .png.",
        )
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality is {quality}; it must be from 1 to 100.")
    return form
