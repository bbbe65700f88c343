"""Files as cameras, phones and other programs write them: by ImageMagick, exiftool and others.

None of our own code makes or judges them. `FILES` names each with what makes it; where a program
is missing, the tests say so loudly (`make camera-tools` installs them on Debian).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from decontext.photo.codes import make_profile
from decontext.photo.portraits import GRACE_HOPPER

PROGRAMS = ("convert", "identify", "compare", "exiftool", "heif-enc", "heif-info", "avifenc")
PROGRAMS += ("avifdec", "cwebp", "tiffinfo")
PROFILES = Path("/usr/share/color/icc")
ADOBE_RGB = PROFILES / "colord" / "AdobeRGB1998.icc"
PRO_PHOTO = PROFILES / "colord" / "ProPhotoRGB.icc"
CMYK = PROFILES / "ghostscript" / "default_cmyk.icc"

MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
MISSING += [str(path) for path in (ADOBE_RGB, PRO_PHOTO, CMYK) if not path.exists()]
REASON = f"ROUND TRIPS NOT TESTED: {', '.join(MISSING)} missing (make camera-tools)"

PLACE = ("-GPSLatitude=48.2085", "-GPSLatitudeRef=N", "-GPSLongitude=16.3731", "-GPSLongitudeRef=E")
PHONE = (
    "-Make=Phone Maker",
    "-Model=Phone 15",
    "-LensModel=back camera 6.8mm f/1.8",
    "-DateTimeOriginal=2026:05:04 10:20:30",
    "-OffsetTimeOriginal=+02:00",
    "-ExposureTime=1/250",
    "-FNumber=1.8",
    "-ISO=64",
    "-Artist=A. Person",
    "-SerialNumber=SERIAL-12345",
    *PLACE,
)
CAPTIONS = (
    "-IPTC:Caption-Abstract=Eine Schriftstellerin, größer",
    "-IPTC:Keywords=portrait",
    "-IPTC:Keywords=navy",
    "-IPTC:By-line=A. Person",
    "-IPTC:City=Wien",
    "-CodedCharacterSet=UTF8",
    "-XMP-dc:Title=A portrait",
    "-XMP-dc:Creator=A. Person",
    "-XMP-xmp:Rating=4",
)


def run(*command: str | Path) -> str:
    """What a program prints. Raises: AssertionError: it failed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def convert(*options: str | Path, size: str = "120x80") -> None:
    """ImageMagick, from a part of a portrait; the last option is the file to make."""
    crop = ("-crop", f"{size}+180+60", "+repage")
    run("convert", GRACE_HOPPER, *crop, "-strip", *options)


class Exiftool:
    """One exiftool for all files: it takes half a second to start."""

    def __init__(self) -> None:
        command = ["exiftool", "-stay_open", "True", "-@", "-"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def ask(self, *options: str | Path) -> str:
        """What it prints."""
        assert self.process.stdin is not None and self.process.stdout is not None
        lines = "\n".join(str(option) for option in (*options, "-execute")) + "\n"
        self.process.stdin.write(lines.encode())
        self.process.stdin.flush()
        printed = b""
        while not printed.endswith(b"{ready}\n"):
            line = self.process.stdout.readline()
            assert line, printed
            printed += line
        return printed.removesuffix(b"{ready}\n").decode()

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"-stay_open\nFalse\n")
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


@lru_cache(maxsize=1)
def exiftool() -> Exiftool:
    """The one that runs; `exiftool().close()` ends it."""
    return Exiftool()


def tag(path: Path, *options: str | Path) -> None:
    """exiftool, into the file itself."""
    answer = exiftool().ask("-overwrite_original", "-codedcharacterset=utf8", *options, path)
    assert "1 image files updated" in answer, answer


def wide(folder: Path) -> Path:
    """The profile of phones' screens."""
    path = folder / "p3.icc"
    places = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    path.write_bytes(make_profile("Display P3", places))
    return path


def _phone_jpeg(path: Path, orientation: int = 1) -> None:
    convert("-modulate", "100,160", "-profile", PROFILES / "sRGB.icc", path)
    run("convert", path, "-profile", wide(path.parent), "-quality", "93", path)
    thumb = path.with_name("thumb.jpg")
    convert("-resize", "40x40", thumb)
    tag(path, *PHONE, *CAPTIONS, f"-Orientation#={orientation}", f"-ThumbnailImage<={thumb}")
    thumb.unlink()


def _motion_photo(path: Path) -> None:
    _phone_jpeg(path)
    tag(path, "-XMP-GCamera:MotionPhoto=1", "-XMP-GCamera:MotionPhotoVersion=1")
    box = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + b"\x00\x00\x10\x08mdat"
    path.write_bytes(path.read_bytes() + box + bytes(range(256)) * 16)


def _heic(path: Path, *options: str) -> None:
    source = path.with_suffix(".source.jpg")
    _phone_jpeg(source)
    run("heif-enc", "-q", "80", *options, source, "-o", path)
    source.unlink()


def _heic_from_png(path: Path, *options: str, size: str = "120x80") -> None:
    source = path.with_suffix(".source.png")
    convert(*options, source, size=size)
    run("heif-enc", "-q", "80", source, "-o", path)
    source.unlink()


def _avif(path: Path, *options: str | Path, colours: tuple[str, ...] = ()) -> None:
    source = path.with_suffix(".source.png")
    convert(*colours, source)
    profile = wide(path.parent)
    icc = () if "--cicp" in options else ("--icc", profile)
    run("avifenc", "--min", "10", "--max", "20", "-s", "9", *icc, *options, source, path)
    source.unlink()


def _webp(path: Path, *options: str) -> None:
    source = path.with_suffix(".source.png")
    convert(*options, source)
    run("cwebp", "-quiet", "-q", "85", source, "-o", path)
    source.unlink()
    tag(path, *PHONE, "-XMP-dc:Title=A portrait", f"-ICC_Profile<={wide(path.parent)}")


def _deep(path: Path, *options: str | Path, profile: Path | None = None) -> None:
    """16 bits that are not 8 bits times 257: by a soft gradient laid over the portrait."""
    over = ("(", "-size", "120x80", "gradient:gray5-gray60", "-depth", "16", ")")
    blend = ("-compose", "blend", "-define", "compose:args=80,20", "-composite", "-blur", "0x2")
    convert("-depth", "16", *over, *blend, *options, path)
    if profile is not None:
        run("convert", path, "-profile", PROFILES / "sRGB.icc", "-profile", profile, path)
    tag(path, *PHONE, *CAPTIONS)


PNG_16 = ("-define", "png:bit-depth=16", "-define")

FILES: dict[str, Callable[[Path], None]] = {
    "phone.jpg": _phone_jpeg,
    **{f"turned{n}.jpg": lambda path, n=n: _phone_jpeg(path, n) for n in range(2, 9)},  # type: ignore[misc]
    "adobe.jpg": lambda path: (
        convert("-profile", PROFILES / "sRGB.icc", "-profile", ADOBE_RGB, path),
        tag(path, *PHONE, *CAPTIONS),
    )[1],
    "progressive-grey.jpg": lambda path: (
        convert("-colorspace", "gray", "-interlace", "JPEG", "-set", "comment", "a comment", path),
        tag(path, *PHONE),
    )[1],
    "print.jpg": lambda path: (
        convert("-profile", PROFILES / "sRGB.icc", "-profile", CMYK, path),
        tag(path, *CAPTIONS),
    )[1],
    "inks.jpg": lambda path: convert("-colorspace", "CMYK", path),
    "motion.jpg": _motion_photo,
    "texts.png": lambda path: (
        convert("-set", "Title", "A portrait", "-set", "comment", "said by a program", path),
        tag(path, *PHONE, *CAPTIONS),
    )[1],
    "wide.png": lambda path: convert(
        "-profile", PROFILES / "sRGB.icc", "-profile", wide(path.parent), path
    ),
    "grey-alpha.png": lambda path: convert(
        *("-colorspace", "gray", "-alpha", "set", "-channel", "A", "-evaluate", "multiply", "0.6"),
        *("+channel", "-define", "png:color-type=4", path),
    ),
    "deep.png": lambda path: _deep(path, *PNG_16, "png:color-type=2"),
    "deep-wide.png": lambda path: _deep(path, *PNG_16, "png:color-type=2", profile=PRO_PHOTO),
    "deep-alpha.png": lambda path: _deep(
        path,
        "-alpha",
        "set",
        "-channel",
        "A",
        "-evaluate",
        "set",
        "51%",
        "+channel",
        *PNG_16,
        "png:color-type=6",
    ),
    "deep-grey.png": lambda path: _deep(path, "-colorspace", "gray", *PNG_16, "png:color-type=0"),
    "deep-grey-alpha.png": lambda path: _deep(
        path,
        "-colorspace",
        "gray",
        "-alpha",
        "set",
        "-channel",
        "A",
        "-evaluate",
        "set",
        "51%",
        "+channel",
        *PNG_16,
        "png:color-type=4",
    ),
    "deep-interlaced.png": lambda path: _deep(
        path, "-interlace", "PNG", *PNG_16, "png:color-type=2"
    ),
    "deep.tiff": lambda path: _deep(path, "-compress", "none", profile=ADOBE_RGB),
    "deep-lzw.tiff": lambda path: _deep(path, "-compress", "lzw"),
    "deep-alpha.tiff": lambda path: _deep(
        path,
        "-alpha",
        "set",
        "-channel",
        "A",
        "-evaluate",
        "set",
        "51%",
        "+channel",
        "-compress",
        "zip",
    ),
    "deep-grey.tiff": lambda path: _deep(path, "-colorspace", "gray"),
    "deep-print.tiff": lambda path: _deep(
        path, "-profile", PROFILES / "sRGB.icc", "-profile", CMYK
    ),
    "print.tiff": lambda path: (
        convert("-profile", PROFILES / "sRGB.icc", "-profile", CMYK, "-compress", "lzw", path),
        tag(path, *PHONE, *CAPTIONS),
    )[1],
    "scan.tiff": lambda path: (
        convert("-density", "300", "-compress", "zip", path),
        tag(path, *PHONE, *CAPTIONS),
    )[1],
    "phone.webp": _webp,
    "clear.webp": lambda path: _webp(
        path, "-alpha", "set", "-channel", "A", "-evaluate", "set", "60%", "+channel"
    ),
    "plain.bmp": lambda path: convert(path),
    "phone.heic": lambda path: _heic(path, "-t", "60"),
    "grey.heic": lambda path: _heic_from_png(path, "-colorspace", "gray"),
    "clear.heic": lambda path: _heic_from_png(
        path, "-alpha", "set", "-channel", "A", "-evaluate", "set", "60%", "+channel"
    ),
    "odd.heic": lambda path: _heic_from_png(path, size="121x83"),
    "phone.avif": lambda path: (_avif(path), tag(path, *PHONE, "-XMP-dc:Title=A portrait"))[1],
    "turned.avif": lambda path: _avif(path, "--irot", "1"),
    "clear.avif": lambda path: _avif(
        path, colours=("-alpha", "set", "-channel", "A", "-evaluate", "set", "60%", "+channel")
    ),
    "coded-p3.avif": lambda path: _avif(path, "--cicp", "12/13/6"),
    "deep.avif": lambda path: _avif(path, "-d", "10"),
}


def describe(path: Path) -> dict[str, Any]:
    """Every tag of a file by group and name, as exiftool reads them."""
    printed = exiftool().ask("-j", "-G1", "-n", "-a", "-b", path)
    return dict(json.loads(printed)[0])


def look(path: Path) -> dict[str, str]:
    """Size, depth, channels and orientation, as ImageMagick sees them."""
    form = "%w x %h|%z|%[channels]|%[orientation]"
    values = run("identify", "-format", form, f"{path}[0]").split("|")
    return dict(zip(("size", "depth", "channels", "orientation"), values, strict=True))
