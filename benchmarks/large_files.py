"""Memory that reading a large photo and saving a changed copy of it take, by kind of file.

    python -m benchmarks.large_files --megapixels 100 --page docs/performance.md

makes random photos of 4 to 3 and reads, changes and saves each in a process of its own. The pixels
alone, as the editor is given them, take 12 bytes each, and so does their changed copy.
"""

from __future__ import annotations

import argparse
import multiprocessing
import struct
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.sections import put, table
from benchmarks.step import _peak, _reset_peak
from decontext.photo.codes import make_profile
from decontext.photo.images import check_output, load_photo, save_photo

CPU = torch.device("cpu")
P3 = make_profile("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)))
CASES = {
    "JPEG": ("plain.jpg", "out.jpg"),
    "JPEG, Display P3": ("wide.jpg", "out.jpg"),
    "TIFF, 16 bits": ("deep.tiff", "out.tiff"),
    "TIFF, 16 bits, to PNG": ("deep.tiff", "out.png"),
}


def make_photo(path: Path, megapixels: float) -> None:
    """A smooth random picture with a little noise."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(40, 216, (12, 16, 3), dtype=np.uint8))
    levels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    for top in range(0, height, 500):
        part = levels[top : top + 500]
        part += generator.integers(0, 8, part.shape, dtype=np.uint8)
    if path.suffix == ".tiff":
        _write_deep(path, levels)
    else:
        options = {"icc_profile": P3} if path.stem == "wide" else {}
        Image.fromarray(levels).save(path, quality=92, **options)


def _write_deep(path: Path, levels: NDArray[np.uint8]) -> None:
    """A TIFF file of 16 bits in one strip."""
    height, width, _ = levels.shape
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 2),
        (273, 4, 8 + 2 + 12 * 9 + 4 + 6),
        (277, 3, 3),
        (279, 4, levels.size * 2),
        (284, 3, 1),
    ]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, value in entries:
        count, value = (3, 8 + 2 + 12 * 9 + 4) if tag == 258 else (1, value)
        head += struct.pack("<HHII", tag, kind, count, value)
    with path.open("wb") as file:
        file.write(head + bytes(4) + struct.pack("<3H", 16, 16, 16))
        for top in range(0, len(levels), 500):
            file.write((levels[top : top + 500].astype("<u2") * 257 + 7).tobytes())


def measure(name: str, megapixels: float, answer: Connection) -> None:
    """One kind of file, in this process; sends a row of the table."""
    source, output = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        make_photo(Path(folder) / source, megapixels)
        before, began = _reset_peak(CPU), time.process_time()
        photo = load_photo(Path(folder) / source)
        reading, after_reading = _peak(CPU) - before, time.process_time()
        changed = photo.pixels.clone()
        changed[..., ::2] += 2 / 255
        changed.clamp_(0, 1)
        check_output(photo, Path(folder) / output)
        save_photo(changed, photo, Path(folder) / output)
        whole, end = _peak(CPU) - before, time.process_time()
        pixels = 12 * photo.size[0] * photo.size[1]
    answer.send(
        [
            f"{name}, {megapixels:g} MP",
            f"{pixels / 1e6:.0f} MB",
            f"{reading / 1e6:.0f} MB",
            f"{whole / 1e6:.0f} MB",
            f"{after_reading - began:.0f} s",
            f"{end - after_reading:.0f} s",
        ]
    )


def main() -> None:
    """Read the command line, measure, print, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--cases", default=";".join(CASES), help="with ; between them")
    given = parser.parse_args()
    context, rows = multiprocessing.get_context("spawn"), []
    for name in given.cases.split(";"):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(name, given.megapixels, send))
        process.start()
        send.close()
        rows.append(receive.recv())
        print(rows[-1], flush=True)
        process.join()
    heading = ["photo", "its pixels", "reading, at most", "with a changed copy, saved, at most"]
    text = table([*heading, "computing: reading", "changing and saving"], rows)
    print(text)
    if given.page:
        put(given.page, "large files", text)


if __name__ == "__main__":
    main()
