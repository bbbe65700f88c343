"""How the protected picture leaves: as a file that is read again before it gets its name.

Between the report and `protect` on the way of the data. Everything about the file is found out
before the first step: whether it may be written, and whether it would replace what was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.photo.files import check_targets, put_in_place, unfinished
from decontext.photo.images import JPEG_QUALITY, Photo, check_output, load_photo, save_photo
from decontext.publishing.transforms import Transform, parse_transform
from decontext.report import is_report_of, report_path, write_report
from decontext.settings import ProtectSettings
from decontext.verdict import Verification

AS_IT_IS = parse_transform("none")


@dataclass(frozen=True, eq=False)
class Result:
    """A protected photo as it was saved and read again.

    Attributes:
        image: `(1, 3, height, width)` float32 in [0, 1], the file's pixels.
        path: the saved file.
        report: what was written beside it.
        verification: what was measured on the saved file.
        settings: repeat the run.
    """

    image: Tensor = field(repr=False)
    path: Path
    report: dict[str, Any] = field(repr=False)
    verification: Verification = field(repr=False)
    settings: ProtectSettings


@dataclass(frozen=True)
class Draft:
    """The file that is to become the output, under the name of an unfinished one."""

    photo: Photo
    target: Path
    temporary: Path
    quality: int | None
    force: bool

    def save(self, image: Tensor) -> Tensor:
        """Write a picture and return the pixels that are read again from the file."""
        save_photo(image, self.photo, self.temporary, quality=self.quality)
        return load_photo(self.temporary).pixels

    def keep(self, report: Mapping[str, Any]) -> None:
        """Give the file its name, with its report beside it.

        The photo comes last: where it lies, its report lies too. A report whose photo never came
        is replaced by the next run, see `check_target`.
        """
        write_report(report, report_path(self.target), force=self.force)
        put_in_place(self.temporary, self.target, force=self.force)


@contextmanager
def drafting(photo: Photo, target: Path, *, quality: int | None, force: bool) -> Iterator[Draft]:
    """A draft that is removed at the end, unless it was kept."""
    with unfinished(target) as temporary:
        yield Draft(photo, target, temporary, quality, force)


def check_target(
    photo: Photo, target: Path, *, inputs: Sequence[Path] = (), force: bool = False
) -> None:
    """Find out before the work whether photo and report could be written.

    `inputs` are further files that were given, and that nothing may replace. A report without its
    photo is what a killed run left: it counts as absent, and is removed.

    Raises:
        InputError: they could not, or would replace what was given or exists already.
    """
    check_output(photo, target)
    report = report_path(target)
    given = (photo.path, *inputs)
    left_alone = not target.exists() and is_report_of(report, target.name)
    check_targets([target], inputs=given, force=force)
    check_targets([report], inputs=given, force=force or left_alone)
    if left_alone:
        report.unlink(missing_ok=True)


def default_output(photo: Path) -> Path:
    """`NAME.protected.EXT` beside the photo."""
    return photo.with_name(f"{photo.stem}.protected{photo.suffix}")


def saved_as(path: Path, quality: int | None = None) -> Transform:
    """What saving to this file does to a picture: JPEG, in full colour, or nothing."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return parse_transform(f"jpeg444-{JPEG_QUALITY if quality is None else quality}")
    return AS_IT_IS
