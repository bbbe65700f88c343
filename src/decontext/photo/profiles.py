"""Colour profiles: from a file's own colours to sRGB, as editors and screens see them, and back.

Used by `reading`, `carrying` and `saving`. Everything is 8-bit levels; what the file has more goes
along in `carrying`.
"""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Levels = NDArray[np.uint8]

_KINDS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}

_REACH = 10
"""Levels on either side between which the slope of an ink is taken."""

_DAMPING = 0.02
"""Keeps inks that hardly change a colour from moving far."""

_SAME = 2
"""Levels by which a profile may differ from sRGB and still be taken for it: rounding."""


class ProfileError(ValueError):
    """A profile that does not describe the picture, or not both ways."""


class Space:
    """The colours of one profile, of grey, RGB or CMYK pictures; CMYK may have none.

    Attributes:
        channels: of a picture in it, 1, 3 or 4.
    """

    def __init__(self, icc: bytes | None, channels: int) -> None:
        """Raises: ProfileError."""
        self.channels = channels
        self._icc_channels = channels
        self._to: Any = None
        if icc is None:
            return
        self._icc_channels = profile_channels(icc)
        if channels != self._icc_channels and (channels, self._icc_channels) != (1, 3):
            raise ProfileError("it is one for other colours")
        mode = _MODES[self._icc_channels]
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            srgb = ImageCms.createProfile("sRGB")
            self._to = ImageCms.buildTransform(own, srgb, mode, "RGB")
            self._from = ImageCms.buildTransform(srgb, own, "RGB", mode)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            raise ProfileError(str(error) or "damaged") from error

    def to_srgb(self, values: Levels) -> Levels:
        """sRGB levels `(height, width, 3)` of the file's, `(height, width, channels)`."""
        if self._to is None:
            return np.asarray(_picture(values, "CMYK").convert("RGB"))
        if values.shape[2] != self._icc_channels:
            values = np.repeat(values, self._icc_channels, axis=2)
        seen = np.asarray(ImageCms.applyTransform(_picture(values), self._to))
        return np.repeat(seen[..., 1:2], 3, axis=2) if self.channels == 1 else seen

    def move(self, values: Levels, before: Levels, after: Levels) -> Levels:
        """File's levels whose sRGB levels change from `before` to about `after`.

        The change is taken in the file's colours and added, so that colours outside of sRGB, and
        a printer's own mixture of inks, stay what they are.
        """
        if self._to is None:
            return _mix_inks(values, after)
        if self.channels == 4:
            return self._move_inks(values, after)
        moved = values.astype(np.int16)
        moved += self._from_srgb(after)
        moved -= self._from_srgb(before)
        return np.clip(moved, 0, 255).astype(np.uint8)

    def _move_inks(self, values: Levels, after: Levels) -> Levels:
        """Inks that come nearest to `after` for a small change of all four, by their slopes."""
        slopes = np.empty((*values.shape[:2], 3, 4), np.float32)
        for ink in range(4):
            low, high = values.copy(), values.copy()
            low[..., ink] = np.maximum(low[..., ink], _REACH) - _REACH
            high[..., ink] = np.minimum(high[..., ink], 255 - _REACH) + _REACH
            apart = high[..., ink, None].astype(np.float32) - low[..., ink, None]
            slopes[..., ink] = (self.to_srgb(high).astype(np.float32) - self.to_srgb(low)) / apart
        missing = after.astype(np.float32) - self.to_srgb(values)
        turned = slopes.swapaxes(-1, -2)
        inner = slopes @ turned + _DAMPING * np.eye(3, dtype=np.float32)
        change = (turned @ np.linalg.solve(inner, missing[..., None]))[..., 0]
        moved: Levels = np.clip(np.rint(values + change), 0, 255).astype(np.uint8)
        return moved

    def _from_srgb(self, levels: Levels) -> Levels:
        own = np.asarray(ImageCms.applyTransform(_picture(levels), self._from))
        own = own[..., None] if own.ndim == 2 else own
        return own[..., 1:2] if self.channels == 1 and own.shape[2] == 3 else own


@lru_cache(maxsize=8)
def find_space(icc: bytes | None, channels: int) -> Space | None:
    """The colours of a picture with this profile; None where they are sRGB.

    Raises:
        ProfileError: the profile is damaged, for other colours, or works one way only.
    """
    if icc is None and channels != 4:
        return None
    space = Space(icc, channels)
    if channels == 4:
        return space
    if channels == 1:
        samples = np.arange(256, dtype=np.uint8).reshape(1, -1, 1)
    else:
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        samples = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    seen = space.to_srgb(np.ascontiguousarray(samples)).astype(np.int16)
    return space if np.abs(seen - samples).max() > _SAME else None


def profile_channels(icc: bytes) -> int:
    """How many channels a profile describes. Raises: ProfileError."""
    try:
        return _KINDS[icc[16:20]]
    except KeyError:
        raise ProfileError("it is not one of grey, RGB or CMYK") from None


def srgb_profile() -> bytes:
    """A profile of sRGB, for files that need one."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _picture(values: Levels, mode: str | None = None) -> Image.Image:
    height, width, channels = values.shape
    content = np.ascontiguousarray(values).tobytes()
    return Image.frombytes(mode or _MODES[channels], (width, height), content)


def _mix_inks(values: Levels, after: Levels) -> Levels:
    """CMYK without a profile: a colour is (255 - ink) (255 - black) / 255."""
    moved = values.copy()
    light = np.maximum(255 - values[..., 3:], after.max(axis=2, keepdims=True)).astype(np.float32)
    inks = 255 - after.astype(np.float32) * 255 / np.maximum(light, 1)
    moved[..., :3] = np.where(light > 0, np.clip(np.rint(inks), 0, 255), values[..., :3])
    moved[..., 3:] = 255 - light.astype(np.uint8)
    return moved
