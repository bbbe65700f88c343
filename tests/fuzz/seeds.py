"""Small real files of every kind that is read, made here, and those that once broke reading."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

CRASHERS = Path(__file__).parents[1] / "photo" / "crashers"
SIZE = (48, 32)
MARK = b"this preview shows the unprotected face"
"""In every preview: no saved file may hold it."""

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="A. Person"/></rdf:RDF></x:xmpmeta>'
)


@lru_cache(maxsize=1)
def make_seeds() -> tuple[bytes, ...]:
    """All files, always in the same order."""
    files = [*_jpegs(), *_pngs(), *_webps(), *_tiffs(), *_others(), *_boxed(), *_own_colours()]
    files += [path.read_bytes() for path in sorted(CRASHERS.iterdir())]
    return tuple(files)


def draw(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A picture that is neither flat nor noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    picture = small.resize(SIZE, Image.Resampling.BICUBIC)
    if mode in ("I", "F", "I;16"):
        values = np.asarray(picture.convert("L")).astype(np.int32) * 257
        kind: Any = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        return Image.fromarray(values.astype(kind))
    return picture.convert(mode)


def encode(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, file_format, **options)
    return content.getvalue()


def make_preview() -> bytes:
    """A small JPEG file that says what it is."""
    return encode(draw(seed=9).resize((16, 16)), "JPEG", comment=MARK)


def make_exif(*, order: str = "<", preview: bytes | None = None, note: bytes = b"") -> bytes:
    """An EXIF block with author, camera, place, maker note and preview, as a camera writes it."""
    preview = make_preview() if preview is None else preview
    place = [
        (1, 2, b"N\0"),
        (2, 5, struct.pack(order + "6I", 48, 1, 12, 1, 30, 1)),
        (3, 2, b"E\0"),
        (4, 5, struct.pack(order + "6I", 16, 1, 22, 1, 15, 1)),
    ]
    details = [
        (0x829A, 5, struct.pack(order + "2I", 1, 250)),
        (0x9000, 7, b"0232"),
        (0x927C, 7, note or b"Maker\0" + bytes(range(64)) + preview),
        (0x9286, 7, b"ASCII\0\0\0words"),
        (0xA430, 2, b"Owner Name\0"),
        (0xA431, 2, b"SERIAL-12345\0"),
    ]
    body = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8))
    main: list[tuple[int, int, bytes | int]] = [
        (0x010F, 2, b"Maker\0"),
        (0x0112, 3, struct.pack(order + "H", 1)),
        (0x011A, 5, struct.pack(order + "2I", 72, 1)),
        (0x013B, 2, b"A. Person\0"),
        (0x8769, 4, 0),
        (0x8825, 4, 0),
    ]
    first = len(body)
    body += bytes(2 + 12 * len(main) + 4)
    pointers = {0x8769: _add_directory(body, details, order)}
    pointers[0x8825] = _add_directory(body, place, order)
    second = _add_directory(
        body, [(0x0103, 3, struct.pack(order + "H", 6)), (0x0201, 4, b""), (0x0202, 4, b"")], order
    )
    struct.pack_into(order + "I", body, second + 2 + 12 + 8, len(body))
    struct.pack_into(order + "I", body, second + 2 + 24 + 8, len(preview))
    for entry in (second + 2 + 12, second + 2 + 24):
        struct.pack_into(order + "I", body, entry + 4, 1)
    body += preview
    complete = [(t, k, struct.pack(order + "I", pointers[t]) if v == 0 else v) for t, k, v in main]
    _write_directory(body, first, complete, order, following=second)  # type: ignore[arg-type]
    return b"Exif\0\0" + bytes(body)


def _add_directory(body: bytearray, entries: list[tuple[int, int, bytes]], order: str) -> int:
    start = len(body)
    body += bytes(2 + 12 * len(entries) + 4)
    _write_directory(body, start, entries, order, following=0)
    return start


def _write_directory(
    body: bytearray,
    start: int,
    entries: list[tuple[int, int, bytes]],
    order: str,
    *,
    following: int,
) -> None:
    width = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    struct.pack_into(order + "H", body, start, len(entries))
    for index, (tag, kind, value) in enumerate(entries):
        place = start + 2 + 12 * index
        struct.pack_into(order + "HHI", body, place, tag, kind, len(value) // width[kind])
        if len(value) <= 4:
            body[place + 8 : place + 8 + len(value)] = value
        else:
            struct.pack_into(order + "I", body, place + 8, len(body))
            body += value
    struct.pack_into(order + "I", body, start + 2 + 12 * len(entries), following)


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _jpegs() -> Iterator[bytes]:
    yield encode(draw(), "JPEG")
    yield encode(draw(), "JPEG", exif=make_exif(), icc_profile=_profile(), dpi=(300, 300), xmp=XMP)
    yield encode(draw(), "JPEG", exif=make_exif(order=">"), progressive=True, comment=b"words")
    yield encode(draw("L"), "JPEG", quality=30)
    yield encode(draw("CMYK"), "JPEG")
    yield encode(draw("CMYK"), "JPEG", icc_profile=_profile())
    yield encode(draw(), "MPO", save_all=True, append_images=[draw(seed=1)], exif=make_exif())
    yield add_segment(encode(draw(), "JPEG"), 0xED, make_resources())


def make_resources() -> bytes:
    """Photoshop's image resources: a caption (IPTC) and a thumbnail of the photo."""
    caption = b"\x1c\x02\x78\x00\x05words"
    thumbnail = struct.pack(">IIIIIIHH", 1, 16, 16, 48, 768, 0, 24, 1) + make_preview()
    block = b"Photoshop 3.0\0"
    for number, data in ((0x0404, caption), (0x040C, thumbnail)):
        block += (
            b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
        )
    return block


def add_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    """A JPEG file with one more segment behind its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data + jpeg[2:]


def _pngs() -> Iterator[bytes]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
        yield encode(draw(mode), "PNG")
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "A. Person", zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    yield encode(
        draw(), "PNG", exif=make_exif(), icc_profile=_profile(), dpi=(72, 72), pnginfo=text
    )
    yield encode(draw("P"), "PNG", transparency=3)
    yield encode(draw(), "PNG", transparency=(1, 2, 3))
    yield encode(draw(), "PNG", save_all=True, append_images=[draw(seed=1)])
    yield _deep_png()


def _deep_png() -> bytes:
    """16 bits per channel, which Pillow reads and does not write."""
    values = np.asarray(draw()).astype(">u2") * 257
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        checksum = zlib.crc32(name + data)
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
    return content


def _webps() -> Iterator[bytes]:
    yield encode(draw(), "WEBP")
    yield encode(draw("RGBA"), "WEBP", lossless=True)
    yield encode(draw(), "WEBP", exif=make_exif(), icc_profile=_profile(), xmp=XMP)
    yield encode(draw(), "WEBP", save_all=True, append_images=[draw(seed=1)])


def _tiffs() -> Iterator[bytes]:
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "LAB", "I", "F", "I;16"):
        yield encode(draw(mode), "TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        yield encode(draw(), "TIFF", compression=compression, icc_profile=_profile())
    for compression in ("group3", "group4"):
        yield encode(draw("1"), "TIFF", compression=compression)
    yield encode(draw("I;16"), "TIFF", compression="tiff_lzw")
    yield encode(draw(), "TIFF", big_tiff=True)
    yield encode(draw(), "TIFF", save_all=True, append_images=[draw(seed=1)])
    tags = Image.Exif()
    tags.load(make_exif())
    described: Any = TiffImagePlugin.ImageFileDirectory_v2()
    described[270], described[305], described[700] = "A caption", "A program", XMP
    yield encode(draw(), "TIFF", tiffinfo=described, dpi=(300, 300))
    yield encode(draw(), "TIFF", exif=tags)


def _boxed() -> Iterator[bytes]:
    """AVIF, and HEIC where pillow-heif is installed."""
    yield encode(draw(), "AVIF", quality=60, speed=10)
    yield encode(draw("RGBA"), "AVIF", quality=60, speed=10)
    described = {"exif": make_exif(), "xmp": XMP, "icc_profile": _wide_profile()}
    yield encode(draw(), "AVIF", quality=60, speed=10, **described)
    yield encode(draw(), "AVIF", save_all=True, append_images=[draw(seed=1)], speed=10)
    try:
        import pillow_heif
    except ImportError:
        return
    for mode in ("RGB", "RGBA", "L"):
        yield _encode_heic(pillow_heif, draw(mode))
    yield _encode_heic(pillow_heif, draw(), **described, thumbnails=[24])
    several = pillow_heif.from_pillow(draw())
    several.add_from_pillow(draw(seed=1))
    content = io.BytesIO()
    several.save(content, quality=60)
    yield content.getvalue()


def _encode_heic(library: Any, picture: Image.Image, **options: Any) -> bytes:
    content = io.BytesIO()
    pixels = picture.mode, picture.size, picture.tobytes()
    library.encode(*pixels, content, quality=60, **options)
    return content.getvalue()


def _wide_profile() -> bytes:
    from decontext.photo.codes import make_profile

    return make_profile("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)))


def _own_colours() -> Iterator[bytes]:
    """Files that hold more than the levels that editors see, and more than one picture."""
    from decontext.photo.reading import load_photo
    from decontext.photo.saving import save_photo

    wide = _wide_profile()
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF"):
        yield encode(draw(), file_format, icc_profile=wide)
    deep = load_photo(_deep_png())
    with tempfile.TemporaryDirectory() as folder:
        for name in ("deep.png", "deep.tiff"):
            described = replace(deep, iptc=b"\x1c\x02\x78\x00\x05words", texts=(("Title", "One"),))
            save_photo(deep.pixels, described, Path(folder) / name)
            yield (Path(folder) / name).read_bytes()
    video = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42" + bytes(range(256))
    motion = b'<x xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1"/>'
    yield encode(draw(), "JPEG", comment=b"words", xmp=motion) + video
    yield encode(draw("CMYK"), "TIFF")
    yield encode(draw("L"), "TIFF", icc_profile=wide)


def _others() -> Iterator[bytes]:
    for mode in ("RGB", "L", "P", "1", "RGBA"):
        yield encode(draw(mode), "BMP", dpi=(72, 72))
    yield encode(draw("P"), "GIF")
    yield encode(draw("P"), "GIF", transparency=3, comment=b"words")
    yield encode(draw("P"), "GIF", save_all=True, append_images=[draw("P", seed=1)])
