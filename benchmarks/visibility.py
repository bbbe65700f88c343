"""How visible changes are, and what they are worth: `python -m benchmarks.visibility PART`.

`bands`: how strong random change of one octave and colour may be at an SSIMULACRA2 of 80; the table
`visibility.distance.ALLOWED` is made from it. `scores`: the distance beside SSIMULACRA2 and JOD for
random and for optimised changes; `visibility.scores.estimate_score` is fitted to it. `frontier`:
fall of the context proportion against visibility, ours and flat sign steps, as saved and after
what happens to published photos, with passes and seconds. Each adds to docs/visibility.json.

JOD is there where ColorVideoVDP is installed (`pip install cvvdp`).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

import decontext
from decontext.photo.images import Photo, load_photo, quantise
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.progress import drain
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.settings import ProtectSettings
from decontext.verify import verify_after
from decontext.visibility.distance import TO_YCC, VisibleDistance
from decontext.visibility.scores import jod, ssimulacra2

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "visibility.json"
PEOPLE = sorted((ROOT / "study" / "people").glob("*.webp"))
WORKING_SIDE = 128
AFTER = (
    "none",
    "jpeg-75",
    "resize-0.5",
    "jpeg-75+resize-0.5",
    "crop-5",
    "crop-10",
    "flip",
    "blur-1",
    "small-0.6+jpeg-80",
)
WANTED_SCORE = 80.0


def main() -> None:
    """Run one part and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("bands", "scores", "frontier"))
    parser.add_argument("--people", type=int, default=2, help="rendered people; 2 portraits more")
    parser.add_argument("--ratios", default="1,4", help="photo size by working size")
    parser.add_argument("--robust", default="web", help="of the frontier")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ratios = [int(text) for text in arguments.ratios.split(",")]
    photos = [(ratio, *one) for ratio in ratios for one in load_photos(ratio, arguments.people)]
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "bands": lambda: measure_bands(photos),
        "scores": lambda: measure_scores(photos),
        "frontier": lambda: measure_frontier(photos, arguments.robust),
    }
    rows = []
    for row in parts[arguments.part]():
        print(json.dumps(row), flush=True)
        rows.append(row)
        _keep(arguments.part, rows)


def load_photos(ratio: int, people: int) -> Iterator[tuple[str, Photo]]:
    """Free portraits and rendered people, `ratio` times as large as the editor works.

    Rendered people are enlarged: they are smooth, and so is their change easily seen.
    """
    area = (WORKING_SIDE * ratio) ** 2
    paths = [ASTRONAUT, GRACE_HOPPER, *PEOPLE[:people]]
    for path in paths:
        photo = load_photo(path)
        width, height = photo.size
        factor = math.sqrt(area / (width * height))
        size = (round(width * factor), round(height * factor))
        array = Image.open(path).convert("RGB").resize(size, Image.Resampling.LANCZOS)
        file = ROOT / "build" / "visibility" / f"{path.stem}-{ratio}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        array.save(file)
        yield path.stem, load_photo(file)


def measure_bands(photos: list[tuple[int, str, Photo]]) -> Iterator[dict[str, Any]]:
    """For each photo and colour the strength, in levels, that leaves the wanted score."""
    for ratio, name, photo in photos:
        for channel, label in enumerate(("brightness", "blue", "red")):
            allowed = []
            for octave in range(5):
                pattern = octave_of_noise(photo.pixels, octave, channel)
                low, high = 0.2, 40.0
                for _ in range(6):
                    middle = math.sqrt(low * high)
                    changed = (photo.pixels + middle / 255 * pattern).clamp(0, 1)
                    score = ssimulacra2(photo.pixels, changed) or 0.0
                    low, high = (middle, high) if score > WANTED_SCORE else (low, middle)
                allowed.append(round(math.sqrt(low * high), 2))
            yield {"photo": name, "ratio": ratio, "channel": label, "levels": allowed}


def octave_of_noise(photo: Tensor, octave: int, channel: int) -> Tensor:
    """Random change of one octave of one of brightness, blue and red; 1 in the mean square."""
    height, width = photo.shape[-2:]
    generator = torch.Generator().manual_seed(octave)
    noise = torch.randn((1, 1, height, width), generator=generator)

    def coarse(times: int) -> Tensor:
        small = noise
        for _ in range(times):
            small = functional.avg_pool2d(small, 2, ceil_mode=True, count_include_pad=False)
        return functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)

    band = coarse(octave) - coarse(octave + 1)
    ycc = torch.zeros_like(photo)
    ycc[:, channel : channel + 1] = band / band.square().mean().sqrt()
    return torch.einsum("ij,bjhw->bihw", torch.tensor(TO_YCC).inverse(), ycc)


def measure_scores(photos: list[tuple[int, str, Photo]]) -> Iterator[dict[str, Any]]:
    """The distance of random changes of several kinds, beside the scores of others."""
    for ratio, name, photo in photos:
        measure = VisibleDistance(photo.pixels)
        for kind, pattern in random_changes(photo.pixels):
            for strength in (1, 2, 4, 8):
                changed = (photo.pixels + strength / 255 * pattern).clamp(0, 1)
                changed = quantise(changed, photo.pixels, 1.0)
                yield {
                    "photo": name,
                    "ratio": ratio,
                    "kind": kind,
                    "levels": strength,
                    "distance": float(measure(changed - photo.pixels)),
                    "ssimulacra2": ssimulacra2(photo.pixels, changed),
                    "jod": jod(photo.pixels, changed),
                }


def random_changes(photo: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Changes of a root mean square of one level: signs, fine and coarse brightness, colour."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, photo.shape, generator=generator, dtype=torch.float32)
    yield "signs", signs * 2 - 1
    yield "fine brightness", octave_of_noise(photo, 0, 0)
    yield "coarse brightness", octave_of_noise(photo, 2, 0)
    yield "coarse colour", octave_of_noise(photo, 2, 2)


def measure_frontier(photos: list[tuple[int, str, Photo]], robust: str) -> Iterator[dict[str, Any]]:
    """Fall and visibility of our method, and of flat sign steps brought to the same fall."""
    editor = decontext.load_editor("kontext-mini")
    for ratio, name, photo in photos:
        for strength in ("gentle", "standard", "strong"):
            settings = ProtectSettings(method="least-visible", strength=strength, robust=robust)
            yield _row(photo, editor, settings, ratio, name)
        for budget in (3, 5, 8):
            settings = ProtectSettings(epsilon=budget / 255, robust=robust)
            yield _row(photo, editor, settings, ratio, name)


def _row(
    photo: Photo, editor: Any, settings: ProtectSettings, ratio: int, name: str
) -> dict[str, Any]:
    began, steps = time.perf_counter(), []
    image = drain(protect_steps(photo, editor, settings), lambda step: steps.append(step.index))
    seconds = time.perf_counter() - began
    return {
        "photo": name,
        "ratio": ratio,
        "method": settings.method,
        "strength": settings.strength if settings.least_visible else f"{settings.budget * 255:g}",
        "robust": settings.robust,
        "steps": steps[-1],
        "seconds": round(seconds, 1),
        **_measures(photo, image, editor),
    }


def _measures(photo: Photo, image: Tensor, editor: Any) -> dict[str, Any]:
    found = verify_after(AFTER, image, photo, editor, prompts=HELD_OUT[:4], noises=1)
    return {
        "ssimulacra2": ssimulacra2(photo.pixels, image),
        "jod": jod(photo.pixels, image),
        "distance": float(VisibleDistance(photo.pixels)(image - photo.pixels)),
        "falls": {one.transform: round(one.drop, 3) for one in found},
    }


def _keep(part: str, rows: list[dict[str, Any]]) -> None:
    before = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    RESULTS.write_text(json.dumps(before | {part: rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
