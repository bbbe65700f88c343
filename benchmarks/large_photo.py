"""Memory that protecting a large photo takes beside the editor, against what is said before.

    python -m benchmarks.large_photo --megapixels 12,48 --method sign,least-visible --steps 2 \
        --step-limit 4 --page docs/performance.md

protects random photos of 4 to 3 against kontext-mini as `decontext protect` does, each in a process
of its own, and prints the peak of the process's memory above the loaded editor, phase by phase.
So few steps do not protect a photo: it is gone on with, which takes the most memory.
`--output NAME.jpg` and `NAME.png` differ: steps see a photo that is saved as JPEG through that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.sections import put, table
from benchmarks.step import _peak, _reset_peak
from decontext.editors import load_editor
from decontext.errors import NotProtectedError
from decontext.estimate import photo_memory
from decontext.photo.images import load_photo
from decontext.protect import protect
from decontext.settings import Method, ProtectSettings

CPU = torch.device("cpu")


def make_photo(path: Path, megapixels: float) -> None:
    """A smooth random picture with a little noise, saved as JPEG."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(40, 216, (12, 16, 3), dtype=np.uint8))
    levels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    levels += generator.integers(0, 8, levels.shape, dtype=np.uint8)
    Image.fromarray(levels).save(path, quality=92)


def measure(
    megapixels: float, method: Method, given: argparse.Namespace, answer: Connection
) -> None:
    """One photo, in this process; sends a row of the table."""
    settings = ProtectSettings(
        method=method,
        steps=given.steps,
        step_limit=given.step_limit,
        robust=given.robust,
        seed=given.seed,
        verify_noises=1,
        verify_prompts=1,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photo(folder / "photo.jpg", megapixels)
        editor = load_editor("kontext-mini", device="cpu")
        editor.edit(torch.rand(1, 3, 96, 128), "smile", steps=1)  # everything is loaded
        before = _reset_peak(CPU)

        def report(phase: str) -> None:
            took = time.perf_counter() - began
            print(f"{phase:24} {(_peak(CPU) - before) / 1e6:6.0f} MB  {took:4.0f} s", flush=True)

        photo = load_photo(folder / "photo.jpg")
        report("photo loaded")
        said = photo_memory(photo, settings, jpeg=given.output.endswith(".jpg"))
        print(f"{'said before':24} {said / 1e6:6.0f} MB", flush=True)
        try:
            protect(
                photo,
                editor,
                output=folder / given.output,
                settings=settings,
                on_step=lambda step: report(f"step {step.index}"),
                on_measure=lambda done, total: report(f"measured {done} of {total}"),
            )
        except NotProtectedError as error:  # so few steps need not protect
            print(error)
        report("in all")
        peak = _peak(CPU) - before
    answer.send(
        [
            f"{megapixels:g} MP",
            f"{method}, {given.robust}, {given.output.rpartition('.')[2].upper()}",
            f"{said / 1e6:.0f} MB",
            f"{peak / 1e6:.0f} MB",
        ]
    )


def main() -> None:
    """Read the command line, measure, print, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--megapixels", default="48")
    parser.add_argument("--method", default=ProtectSettings().method)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--step-limit", type=int, help="where the verdict is not strong")
    parser.add_argument("--robust", default="web")
    parser.add_argument("--output", default="protected.jpg")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    context, rows = multiprocessing.get_context("spawn"), []
    for megapixels, method in product(
        map(float, given.megapixels.split(",")), given.method.split(",")
    ):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(megapixels, method, given, send))
        process.start()
        send.close()
        rows.append(receive.recv())
        process.join()
    text = table(["photo", "how", "said before", "took at most"], rows)
    print(text)
    if given.page:
        put(given.page, "large photos", text)


if __name__ == "__main__":
    main()
