"""Every format on files of other programs, there and back, judged by those programs, not by ours.

Skipped, and loudly, where the programs are missing: `make camera-tools` installs them on Debian.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from kills_many import make_work, protect_all
from PIL import Image
from torch.nn import functional

from decontext.errors import InputError
from decontext.photo.images import (
    Photo,
    check_output,
    choose_metadata,
    describe_losses,
    levels,
    load_photo,
    quantise,
    save_photo,
)
from decontext.photo.profiles import srgb_profile
from tests.photo import camera_files
from tests.photo.camera_files import CMYK, FILES, PLACE, describe, look, run

pytest.importorskip("pillow_heif", reason="ROUND TRIPS NOT TESTED: pip install 'decontext[heif]'")
pytestmark = pytest.mark.skipif(bool(camera_files.MISSING), reason=camera_files.REASON)

BUDGET = 8

KEPT = ("protected", "weak")

LAYOUT = (
    r"System:|SourceFile|ExifTool:|File:(FileSize|CurrentIPTCDigest|YCbCrSubSampling|ExifByteOrder)"
    r"|Composite:|IFD1:|Meta:|RIFF:(VP8|Horiz|Vert|Alpha)|Adobe:|QuickTime:(?!Color|Transfer|Matrix)"
    r"|IFD0:(Compression|FillOrder|PageNumber|Predictor|RowsPerStrip|SampleFormat|Strip|InkSet)"
    r"|PNG:(Interlace|ProfileName|Filter|Compression|BackgroundColor|ModifyDate)"
)
"""Tags on how a file is laid out, and of the preview that must go; any other must stay the same."""

GONE: dict[str, str] = {
    "bmp": r"File:(AlphaMask|BMPVersion|BlueMask|ColorSpace|GreenMask|RedMask|RenderingIntent)",
    "heic": r"IFD0:Orientation|File:(FileType|MIMEType)|QuickTime:(Color|Transfer|Matrix)"
    r"|File:Image(Width|Height)",
    "avif": r"IFD0:Orientation|File:Image(Width|Height)|QuickTime:(Color|Transfer)|ICC",
    "tiff": r"IFD0:(PrimaryChromaticities|WhitePoint)",
}
"""What else a format says in another way: HEIC and AVIF turn by boxes; chromaticities of TIFF are
the profile's."""


def change(photo: Photo, seed: int = 0) -> torch.Tensor:
    """A soft change up to the budget, grey in grey photos."""
    generator = torch.Generator().manual_seed(seed)
    height, width = photo.pixels.shape[-2:]
    channels = 1 if photo.is_grey else 3
    noise = torch.randn(1, channels, height // 5 + 1, width // 5 + 1, generator=generator)
    soft = functional.interpolate(noise, size=(height, width), mode="bicubic").clamp(-1, 1)
    wanted = (photo.pixels + soft * BUDGET / 255).clamp(0, 1)
    return quantise(wanted, photo.pixels, BUDGET / 255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files, made once."""
    place = tmp_path_factory.mktemp("camera")
    (place / "out").mkdir()
    yield place
    camera_files.exiftool().close()
    camera_files.exiftool.cache_clear()


def make(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        FILES[name](path)
    return path


def save_changed(path: Path, out: Path) -> tuple[Photo, torch.Tensor, Photo]:
    photo = load_photo(path)
    wanted = change(photo)
    check_output(photo, out)
    save_photo(wanted, photo, out)
    return photo, wanted, load_photo(out)


@pytest.mark.parametrize("name", FILES)
def test_file_of_another_program_comes_back_as_it_was_but_for_the_change(folder, name):
    path, out = make(folder, name), folder / "out" / name
    photo, wanted, again = save_changed(path, out)
    ending = name.rpartition(".")[2]
    assert describe_losses(photo, out) == ()
    assert again.size == photo.size and again.mode == photo.mode
    _compare_tags(describe(path), describe(out), ending)
    if ending not in ("heic", "avif"):
        assert look(out) == look(path)
    if ending == "heic":
        assert _heif_size(out) == _heif_size(path)
    moved = (again.pixels - photo.pixels) * 255
    intended = (wanted - photo.pixels) * 255
    # By how much of the intended change is in the file; what is missing are colours out of reach.
    share = float((moved * intended).sum() / (intended * intended).sum())
    assert share > 0.85
    if ending in ("png", "tiff", "webp", "bmp"):
        assert levels(again.pixels, photo.pixels) <= BUDGET
        own = photo.own
        if own is None or own.space is None:
            assert levels(again.pixels, wanted) == 0


def _compare_tags(before: dict[str, Any], after: dict[str, Any], ending: str) -> None:
    pattern = f"{LAYOUT}|{GONE.get(ending, 'nothing else')}"
    kept = {tag for tag in before if not re.match(pattern, tag)}
    assert {tag: before[tag] for tag in kept} == {tag: after.get(tag) for tag in kept}
    assert [tag for tag in after if "Thumbnail" in tag or "Preview" in tag] == []


def _heif_size(path: Path) -> str:
    found = re.search(r"image: (\d+x\d+)", run("heif-info", path))
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "name", ["phone.jpg", "adobe.jpg", "wide.png", "deep-wide.png", "print.tiff"]
)
def test_editor_sees_the_colours_that_imagemagick_converts_to(folder, name):
    path, out = make(folder, name), folder / "out" / "seen.png"
    (folder / "srgb.icc").write_bytes(srgb_profile())
    run(
        "convert",
        path,
        "-intent",
        "perceptual",
        "-profile",
        folder / "srgb.icc",
        "-depth",
        "8",
        out,
    )
    theirs = load_photo(out)
    assert float((theirs.pixels - load_photo(path).pixels).abs().mean()) * 255 < 1.0


@pytest.mark.parametrize(
    "name", ["deep.png", "deep-interlaced.png", "deep-lzw.tiff", "deep-print.tiff"]
)
def test_all_sixteen_bits_come_back_where_nothing_was_changed(folder, name):
    path, out = make(folder, name), folder / "out" / f"same-{name}"
    photo = load_photo(path)
    save_photo(photo.pixels, photo, out)
    compared = subprocess.run(
        ["compare", "-metric", "AE", path, out, "null:"], capture_output=True, text=True
    )
    assert compared.stderr.strip() == "0"


def test_avif_and_heic_are_read_as_their_own_programs_do(folder):
    seen = folder / "out" / "decoded.png"
    run("avifdec", make(folder, "turned.avif"), seen)
    with Image.open(seen) as theirs:
        assert theirs.size == (120, 80)  # It leaves the turn to the viewer;
    assert load_photo(make(folder, "turned.avif")).size == (80, 120)  # viewers apply it.
    run("heif-convert", make(folder, "phone.heic"), seen)
    ours = load_photo(make(folder, "phone.heic"))
    assert _heif_size(folder / "phone.heic") == "{}x{}".format(*ours.size)


def test_what_a_phone_hides_behind_the_photo_is_gone_and_said(folder):
    path, out = make(folder, "motion.jpg"), folder / "out" / "motion.jpg"
    photo, _, again = save_changed(path, out)
    assert "left out: the video behind the photo (a motion photo)" in photo.notes
    assert b"ftyp" in path.read_bytes() and b"ftyp" not in out.read_bytes()
    assert not [note for note in again.notes if "left out" in note]
    thumbnail = load_photo(make(folder, "phone.heic"))
    assert "left out: a thumbnail in the file" in thumbnail.notes
    assert "thumbnail" in run("heif-info", folder / "phone.heic")
    save_changed(folder / "phone.heic", folder / "out" / "phone.heic")
    assert "thumbnail" not in run("heif-info", folder / "out" / "phone.heic")


@pytest.mark.parametrize(
    "name", ["phone.jpg", "texts.png", "scan.tiff", "phone.webp", "phone.avif"]
)
@pytest.mark.parametrize("keep", ["no-location", "none"])
def test_place_and_names_are_gone_from_every_format(folder, name, keep):
    path, out = make(folder, name), folder / "out" / f"{keep}-{name}"
    photo = choose_metadata(load_photo(path), keep)
    save_photo(photo.pixels, photo, out)
    before, after = describe(path), describe(out)
    assert [tag for tag in before if "GPSLatitude" in tag]
    assert not [tag for tag in after if "GPS" in tag]
    assert "Wien" not in str(after) and "A. Person" in str(before)
    assert ("A. Person" in str(after)) is (keep == "no-location")
    assert {tag for tag in before if tag.startswith("ICC")} <= set(after)
    assert len(PLACE) == 4


def test_deep_photo_saved_as_eight_bits_says_so(folder):
    photo = load_photo(make(folder, "deep.png"))
    for ending in (".jpg", ".webp", ".heic", ".avif", ".bmp"):
        assert "16 bits per channel are saved as 8" in describe_losses(photo, f"x{ending}")
        out = folder / "out" / f"eight{ending}"
        save_photo(photo.pixels, photo, out)
        assert load_photo(out).size == photo.size


def test_wide_colours_become_srgb_where_no_profile_fits(folder):
    photo = load_photo(make(folder, "phone.jpg"))
    out = folder / "out" / "wide.bmp"
    save_photo(photo.pixels, photo, out)
    assert levels(load_photo(out).pixels, photo.pixels) == 0
    assert describe_losses(photo, out)[0] == (
        "the colours are saved as sRGB, without the photo's colour profile"
    )
    print_photo = load_photo(make(folder, "print.jpg"))
    save_photo(print_photo.pixels, print_photo, folder / "out" / "print.png")
    assert describe(folder / "out" / "print.png")["ICC-header:ColorSpaceData"] == "RGB "
    assert CMYK.read_bytes() == print_photo.icc


@pytest.mark.parametrize(
    ("codes", "words"),
    [("9/16/9", r"is an HDR picture \(PQ\)"), ("9/18/9", r"\(HLG\)"), ("1/8/1", "not known here")],
)
def test_hdr_and_unknown_colours_are_refused_in_words(folder, codes, words):
    path = folder / f"codes{codes.replace('/', '-')}.avif"
    camera_files._avif(path, "--cicp", codes)
    with pytest.raises(InputError, match=words):
        load_photo(path)


def test_gif_of_one_frame_is_read_and_saved_as_another_format(folder):
    camera_files.convert("-set", "comment", "from a program", folder / "one.gif")
    photo = load_photo(folder / "one.gif")
    with pytest.raises(InputError, match="GIF has 256 colours, too few"):
        check_output(photo, folder / "out" / "one.gif")
    save_photo(photo.pixels, photo, folder / "out" / "one.png")
    assert describe(folder / "out" / "one.png")["PNG:Comment"] == "from a program"


def test_a_folder_of_such_files_is_protected_each_in_its_own_format(folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ["turned6.jpg", "motion.jpg", "scan.tiff", "phone.heic", "phone.avif", "print.jpg"]
    for name in names:
        (photos / name).write_bytes(make(folder, name).read_bytes())
    work = make_work(tiny_models.save_tiny_pipeline(tmp_path / "editor"), tmp_path / "out")
    rows = protect_all(photos, replace(work, settings=replace(work.settings, step_limit=80)))
    assert sorted(row["name"] for row in rows) == sorted(names)
    assert {row["name"]: row["message"] for row in rows if row["status"] not in KEPT} == {}
    for name in names:
        before, after = describe(photos / name), describe(work.folder / name)
        assert after["File:MIMEType"] == before["File:MIMEType"]
        _compare_tags(before, after, name.rpartition(".")[2])
        report = json.loads((work.folder / f"{name}.json").read_bytes())
        assert ("motion photo" in str(report["notes"])) is (name == "motion.jpg")
