"""Memory that protecting a large photo takes beside the editor, against what is said before.

    python -m benchmarks.large_photo --megapixels 48 --steps 4

protects a random photo of 4 to 3 against kontext-mini as `decontext protect` does, and prints the
peak of the process's memory above the loaded editor, phase by phase. `--output NAME.jpg` and
`NAME.png` differ: steps see a photo that is saved as JPEG through that.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.step import _peak, _reset_peak
from decontext.editors import load_editor
from decontext.estimate import photo_memory
from decontext.photo.images import load_photo
from decontext.protect import protect
from decontext.settings import ProtectSettings

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


def main() -> None:
    """Read the command line, protect, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=48)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--robust", default="web")
    parser.add_argument("--output", default="protected.jpg")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    settings = ProtectSettings(
        steps=given.steps, robust=given.robust, seed=given.seed, verify_noises=1, verify_prompts=1
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photo(folder / "photo.jpg", given.megapixels)
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
        except Exception as error:
            print(error)
        report("in all")


if __name__ == "__main__":
    main()
