"""`protect --strip-location` and `--strip-metadata` reach the photo before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decontext import cli
from decontext.errors import InputError
from decontext.photo.photo import Photo
from tests.fuzz.seeds import XMP, draw, encode, make_exif


@pytest.mark.parametrize(
    ("options", "place", "author", "note"),
    [
        ([], True, True, "the place where it was taken"),
        (["--strip-location"], False, True, "the author's name"),
        (["--strip-metadata"], False, False, ""),
        (["--strip-metadata", "--strip-location"], False, False, ""),
    ],
)
def test_photo_is_protected_with_as_much_metadata_as_wanted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    place: bool,
    author: bool,
    note: str,
) -> None:
    taken: list[Photo] = []

    def stop(photo: Photo, *_: Any, **__: Any) -> None:
        taken.append(photo)
        raise InputError("far enough")

    monkeypatch.setattr("decontext.saving.check_target", stop)
    path = tmp_path / "me.jpg"
    path.write_bytes(encode(draw(), "JPEG", exif=make_exif(), xmp=XMP))
    code = cli.run(["protect", str(path), "--editor", "kontext-mini", *options])
    (photo,) = taken
    assert code == InputError.exit_code
    exif = photo.exif or b""
    assert (b"N\0\0\0" in exif, b"A. Person" in exif) == (place, author)
    assert (photo.xmp is not None) == author
    assert (photo.exif is not None) == author
    assert note in " ".join(photo.notes)
