"""The way in to this folder: a picture file as a float tensor, and back into a file like it.

The photo as it is seen (upright, RGB, in [0, 1]) goes to the editor, and the protected pixels
return with the size, mode, transparency, colour profile and EXIF data of the photo.
"""

from decontext.photo.encoding import JPEG_QUALITY
from decontext.photo.formats import READ_ENDINGS, SAVED_ENDINGS
from decontext.photo.levels import levels, psnr, quantise, to_array
from decontext.photo.losses import describe_losses
from decontext.photo.metadata import Metadata, choose_metadata
from decontext.photo.photo import SMALLEST_SIDE, Photo
from decontext.photo.reading import load_photo
from decontext.photo.saving import check_output, save_photo
from decontext.photo.sources import read_pixels

__all__ = [
    "JPEG_QUALITY",
    "READ_ENDINGS",
    "SAVED_ENDINGS",
    "SMALLEST_SIDE",
    "Metadata",
    "Photo",
    "check_output",
    "choose_metadata",
    "describe_losses",
    "levels",
    "load_photo",
    "psnr",
    "quantise",
    "read_pixels",
    "save_photo",
    "to_array",
]
