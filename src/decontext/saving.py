"""How the protected picture leaves: as a file that is read again before it gets its name.

Between the report and `protect` on the way of the data. Everything about the file is found out
before the first step: whether it may be written, and whether it would replace what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from decontext.errors import InputError, NotProtectedError
from decontext.photo.files import check_targets, put_in_place, unfinished
from decontext.photo.images import (
    JPEG_QUALITY,
    SAVED_ENDINGS,
    Photo,
    check_output,
    describe_losses,
    load_photo,
    psnr,
    save_photo,
    to_array,
)
from decontext.publishing.transforms import Transform, parse_transform
from decontext.report import Report, is_report_of, report_path, sha256, write_report
from decontext.settings import ProtectSettings
from decontext.verdict import Level, Verification
from decontext.visibility.scores import Visibility, measure_visibility

AS_IT_IS = parse_transform("none")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A protected photo, as it was measured.

    Attributes:
        image: `(1, 3, height, width)` float32 in [0, 1]: the pixels of the file, where there is
            one.
        path: the saved file; None where nothing was written.
        report: what is written beside it.
        verification: what was measured on `image`.
        settings: repeat the run.
        original: the photo before.
        measure: measures other pixels of this photo in the same way.
        least: the weakest verdict that is saved.
    """

    image: Tensor
    path: Path | None
    report: Report
    verification: Verification
    settings: ProtectSettings
    original: Photo
    measure: Callable[[Tensor], Verification]
    least: Level = "strong"

    def __repr__(self) -> str:
        where = f"saved as {self.path}" if self.path else "not saved"
        return f"<Result, {where}: {self.verification}>"

    @cached_property
    def visibility(self) -> Visibility:
        """How much of the change is seen."""
        return measure_visibility(self.original.pixels, self.image)

    def to_pil(self) -> Image.Image:
        """The protected photo upright, 8 bits of sRGB, with the photo's transparency."""
        return to_pil(self.image, self.original)

    def save(
        self,
        path: str | Path,
        *,
        quality: int | None = None,
        force: bool = False,
        accept_weak: bool = False,
    ) -> Result:
        """Write the photo and, beside it, its report; the result as it was saved.

        The file is read again. Where it holds other pixels, as JPEG does, it is measured anew, and
        not kept where the verdict is no longer what was asked for: `protect(..., output=path)`
        optimises through the file's format.

        Raises:
            InputError: it cannot be saved there, see `check_target`.
            NotProtectedError: the saved file did not measure as protected; it was removed again.
        """
        target = check_target(self.original, path, quality=quality, force=force)
        least: Level = "weak" if accept_weak else self.least
        with drafting(self.original, target, quality=quality, force=force) as draft:
            saved = draft.save(self.image)
            verification = self.verification
            if not torch.equal(saved, self.image):
                verification = self.measure(saved)
            if not verification.reaches(least):
                raise NotProtectedError(
                    f"saved as {target.name} the photo does not measure as protected, and nothing "
                    f"was written. {verification.sentence}",
                    "Save it as PNG, or give output=PATH to protect.",
                )
            report = Report(
                self.report
                | {
                    "verification": verification.to_dict(),
                    "psnr_db": psnr(self.original.pixels, saved),
                    "visibility": replace(self, image=saved).visibility.to_dict(),
                    "files": self.report["files"] | {"protected": draft.describe()},
                    "notes": list(
                        dict.fromkeys(
                            (*self.report["notes"], *describe_losses(self.original, target))
                        )
                    ),
                }
            )
            draft.keep(report)
        return replace(self, image=saved, path=target, report=report, verification=verification)


@dataclass(frozen=True)
class Draft:
    """The file that is to become the output, under the name of an unfinished one.

    Without a target it is no file at all, and what is saved is the picture itself.
    """

    photo: Photo
    target: Path | None
    temporary: Path | None
    quality: int | None
    force: bool

    def save(self, image: Tensor) -> Tensor:
        """Write a picture and return the pixels that are read again from the file.

        Raises: InputError: it cannot be written; it is named as it would be called.
        """
        if self.temporary is None:
            return image
        try:
            save_photo(image, self.photo, self.temporary, quality=self.quality)
        except InputError as error:
            message = error.message.replace(str(self.temporary), str(self.target))
            raise InputError(message, error.hint) from error
        return load_photo(self.temporary).pixels

    def describe(self) -> dict[str, str | None]:
        """The name that the file gets, and its content, for a report."""
        return {
            "name": self.target.name if self.target else None,
            "sha256": sha256(self.temporary) if self.temporary else None,
        }

    def keep(self, report: Mapping[str, Any]) -> None:
        """Give the file its name, with its report beside it.

        The photo comes last: where it lies, its report lies too. A report whose photo never came
        is replaced by the next run, see `check_target`.
        """
        if self.target is not None and self.temporary is not None:
            write_report(report, report_path(self.target), force=self.force)
            put_in_place(self.temporary, self.target, force=self.force)


@contextmanager
def drafting(
    photo: Photo, target: Path | None, *, quality: int | None, force: bool
) -> Iterator[Draft]:
    """A draft that is removed at the end, unless it was kept."""
    if target is None:
        yield Draft(photo, None, None, quality, force)
        return
    with unfinished(target) as temporary:
        yield Draft(photo, target, temporary, quality, force)


def check_target(
    photo: Photo,
    output: str | Path,
    *,
    quality: int | None = None,
    inputs: Sequence[Path] = (),
    force: bool = False,
) -> Path:
    """Find out before the work whether photo and report could be written, and return where to.

    `inputs` are further files that were given, and that nothing may replace. A report without its
    photo is what a killed run left: it counts as absent, and is removed.

    Raises:
        InputError: they could not, or would replace what was given or exists already.
    """
    target = Path(output)
    check_output(photo, target, quality=quality)
    report = report_path(target)
    given = (*inputs, photo.path) if photo.from_file else inputs
    left_alone = not target.exists() and is_report_of(report, target.name)
    check_targets([target], inputs=given, force=force)
    check_targets([report], inputs=given, force=force or left_alone)
    if left_alone:
        report.unlink(missing_ok=True)
    return target


def default_output(photo: Path) -> Path:
    """`NAME.protected.EXT` beside the photo."""
    return photo.with_name(f"{photo.stem}.protected{photo.suffix}")


def saved_as(path: Path | None, quality: int | None = None) -> Transform:
    """What saving to this file does to a picture: JPEG, in full colour, or nothing.

    HEIC and AVIF have no gradient here: a JPEG of the same quality, with halved colour for HEIC,
    stands in for them. What is measured is the file itself.
    """
    kind = "" if path is None else SAVED_ENDINGS.get(path.suffix.lower(), "")
    name = {"JPEG": "jpeg444", "AVIF": "jpeg444", "HEIF": "jpeg"}.get(kind)
    if name is None:
        return AS_IT_IS
    return parse_transform(f"{name}-{JPEG_QUALITY if quality is None else quality}")


def to_pil(image: Tensor, photo: Photo | None = None) -> Image.Image:
    """A picture `(1, 3, height, width)` in [0, 1] as a PIL image.

    Of a photo it has the transparency, and one channel where that is grey. Where the photo's own
    colours are others than sRGB the picture is sRGB; otherwise it has the photo's profile.
    """
    pixels = to_array(image)
    if photo is not None and photo.is_grey:
        pixels = pixels[..., :1]
    if photo is not None and photo.alpha is not None:
        pixels = np.concatenate((pixels, photo.alpha[..., None].numpy()), axis=2)
    result = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if photo is not None and photo.icc and (photo.own is None or photo.own.space is None):
        result.info["icc_profile"] = photo.icc
    return result
