"""A composed picture as the bytes of a file, with everything that belongs beside the pixels.

Used by `saving`: Pillow and pillow-heif write; what they cannot is put in by `png` and `tiff`.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from decontext.errors import InputError
from decontext.photo.composing import Composed
from decontext.photo.decoders import DECODER_ERRORS, quiet_decoders
from decontext.photo.exif import without_orientation
from decontext.photo.formats import Format
from decontext.photo.heif import encode_heif
from decontext.photo.iptc import as_resource
from decontext.photo.losses import holds_own
from decontext.photo.photo import SMALLEST_SIDE, Photo
from decontext.photo.png import exchange_pixels
from decontext.photo.profiles import ProfileError, profile_channels, srgb_profile
from decontext.photo.tiff import add_metadata, append_pixels
from decontext.photo.xmp import with_orientation

JPEG_QUALITY = 95
"""Also of HEIC and AVIF, which count alike."""

_LOSSLESS_TIFF = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")

_LONGEST_SEGMENT = 65_000
"""Bytes of a comment in JPEG."""

_LONG_TEXT = 1000
"""Letters from which on a text is compressed."""


def encode(
    picture: Composed, photo: Photo, form: Format, quality: int | None
) -> bytes | bytearray | memoryview:
    """The file's bytes. Raises: InputError: the format cannot hold it."""
    try:
        with quiet_decoders():
            return _write(picture, photo, form, quality)
    except MemoryError as error:
        raise InputError(
            f"writing the picture as {form.name} needs more memory than there is.",
            "Choose another ending.",
        ) from error
    except DECODER_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"the picture cannot be written as {form.name} ({reason}).",
            "Choose another ending, or leave its metadata out (--strip-metadata).",
        ) from error


def _write(
    picture: Composed, photo: Photo, form: Format, quality: int | None
) -> bytes | bytearray | memoryview:
    is_deep = not isinstance(picture, Image.Image)
    small = (
        _to_small(picture, has_opacity=photo.alpha is not None)
        if not isinstance(picture, Image.Image)
        else picture
    )
    channels = {"L": 1, "R": 3, "C": 4}[small.mode[0]]
    options = _save_options(photo, form, quality, channels)
    if form.name == "HEIF":
        given = {key: options.get(key) for key in ("exif", "xmp")}
        icc = options.get("icc_profile")
        return encode_heif(small, quality=options["quality"], icc=icc, **given).getbuffer()
    content = io.BytesIO()
    if is_deep and form.name == "TIFF":
        options["compression"] = "raw"
    small.save(content, form.name, **options)
    if form.name == "TIFF":
        file: bytes | bytearray | memoryview = content.getbuffer()
        layout = None
        if not isinstance(picture, Image.Image):
            file, layout = append_pixels(file, picture, has_opacity=photo.alpha is not None)
        if layout or photo.exif or photo.xmp or photo.iptc:
            kept = photo.exif, photo.xmp, photo.iptc
            return add_metadata(file, *kept, orientation=photo.orientation, layout=layout)
    elif not isinstance(picture, Image.Image):
        return exchange_pixels(content.getbuffer(), picture)
    return content.getbuffer()


def _to_small(pixels: NDArray[np.uint16], *, has_opacity: bool) -> Image.Image:
    """A black picture of 8 bits with as many channels: Pillow writes what goes around it."""
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[pixels.shape[2] - has_opacity] + "A" * has_opacity
    return Image.new(mode, (SMALLEST_SIDE, SMALLEST_SIDE))


def _save_options(photo: Photo, form: Format, quality: int | None, channels: int) -> dict[str, Any]:
    """What Pillow needs to keep every level, the metadata and the photo's own way of writing."""
    options: dict[str, Any] = {}
    if "dpi" in photo.options and form.name in ("JPEG", "PNG", "TIFF", "BMP"):
        options["dpi"] = photo.options["dpi"]
    icc = _profile(photo, form, channels)
    if icc:
        options["icc_profile"] = icc
    if photo.exif and "exif" in form.metadata and form.name != "TIFF":
        upright = form.is_upright
        exif = without_orientation(photo.exif) if upright else photo.exif
        if exif is not None:
            options["exif"] = exif
    if photo.xmp and "xmp" in form.metadata and form.name not in ("TIFF", "PNG"):
        options["xmp"] = with_orientation(photo.xmp, 1) if form.is_upright else photo.xmp
    if form.is_lossy:
        options["quality"] = JPEG_QUALITY if quality is None else quality
    if form.name == "JPEG":
        options["subsampling"] = 0
        options["progressive"] = bool(photo.options.get("progressive"))
        options |= _jpeg_words(photo)
    elif form.name == "AVIF":
        options["subsampling"] = "4:0:0" if channels == 1 else "4:4:4"
    elif form.name == "PNG":
        options["pnginfo"] = _png_words(photo)
    elif form.name == "WEBP":
        options |= {"lossless": True, "exact": True}
    elif form.name == "TIFF":
        own = photo.options.get("compression")
        options["compression"] = own if own in _LOSSLESS_TIFF else "tiff_adobe_deflate"
    return options


def _profile(photo: Photo, form: Format, channels: int) -> bytes | None:
    """The profile that describes what is written."""
    if photo.icc is None or not form.colours:
        return None
    if photo.own is not None and photo.own.space is not None and not holds_own(photo, form):
        return srgb_profile() if channels == 3 else None
    try:
        described = profile_channels(photo.icc)
    except ProfileError:
        return None
    return photo.icc if described == channels or (channels, described) == (1, 3) else None


def _jpeg_words(photo: Photo) -> dict[str, Any]:
    """Comment and captions for Pillow's JPEG encoder."""
    options: dict[str, Any] = {}
    comment = next((text for name, text in photo.texts if name == "Comment"), None)
    if comment is not None and len(comment.encode()) < _LONGEST_SEGMENT:
        options["comment"] = comment.encode()
    if photo.iptc is not None:
        data = b"Photoshop 3.0\x00" + as_resource(photo.iptc)
        options["extra"] = b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data
    return options


def _png_words(photo: Photo) -> PngImagePlugin.PngInfo:
    """XMP data, captions as ImageMagick writes them, and the texts."""
    info = PngImagePlugin.PngInfo()
    if photo.xmp:
        info.add_itxt("XML:com.adobe.xmp", photo.xmp.decode())
    if photo.iptc is not None:
        data = as_resource(photo.iptc)
        info.add_text("Raw profile type iptc", f"\niptc\n{len(data):8}\n{data.hex()}\n", zip=True)
    for kind, data in photo.options.get("png_colours", ()):
        info.add(kind, data)  # Pillow leaves sRGB out beside a profile, as PNG wants it.
    for name, text in photo.texts:
        info.add_text(name, text, zip=len(text) > _LONG_TEXT)
    return info
