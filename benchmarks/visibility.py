"""How visible changes are, and what they are worth: `python -m benchmarks.visibility PART`.

`bands`: how strong random change of one octave and colour may be at an SSIMULACRA2 of 80; the table
`visibility.distance.ALLOWED` is made from it. `scores`: the distance beside SSIMULACRA2 and JOD for
random changes; `visibility.scores.estimate_score` is fitted to it. `calibration`: the same at two
strengths, for all sizes, with rank correlations on the page. `frontier`:
fall of the context proportion against visibility, ours and flat sign steps, as saved and after
what happens to published photos, what edits of these copies show, with passes and seconds. Each
adds to docs/visibility.json; what is there already is not measured again. `page` writes the tables
of docs/visibility.md from it.

JOD is there where ColorVideoVDP is installed (`pip install cvvdp`).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

import decontext
from benchmarks.coarse_colour import coarse_colour
from benchmarks.visibility_page import write_page
from decontext.evaluation.recognisers import PersonJudge
from decontext.photo.images import Photo, load_photo, quantise, to_array
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.progress import drain
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.publishing.transforms import parse_transform
from decontext.settings import ProtectSettings
from decontext.verify import verify_after
from decontext.visibility.distance import TO_YCC, VisibleDistance
from decontext.visibility.jod import jod
from decontext.visibility.scores import ssimulacra2

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "visibility.json"
FOLDER = ROOT / "build" / "visibility"
PEOPLE = sorted((ROOT / "study" / "people").glob("*.webp"))
SOURCES = {path.stem: path for path in (ASTRONAUT, GRACE_HOPPER, *PEOPLE)}
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

EDITED = ("none", "crop-10", "flip")
EDITS = (HELD_OUT[4], HELD_OUT[0])
"""Leave it the same, and a smile: instructions under which the embedded editor keeps a person."""

CALIBRATED = (2, 6)
"""Levels of the random changes of the calibration."""

SAME = ("photo", "ratio", "method", "strength", "robust")


def main() -> None:
    """Run one part and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("bands", "scores", "calibration", "frontier", "page"))
    parser.add_argument("--photos", default=",".join(SOURCES), help="names, with commas")
    parser.add_argument("--ratios", default="1,4", help="photo size by working size")
    parser.add_argument("--robust", default="web", help="of the frontier")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file that is added to")
    parser.add_argument("--flat", default="4,8", help="budgets of sign steps beside ours, levels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part == "page":
        write_page(json.loads(arguments.results.read_text()))
        return
    ratios = [int(text) for text in arguments.ratios.split(",")]
    names = arguments.photos.split(",")
    photos = [(ratio, *one) for ratio in ratios for one in load_photos(ratio, names)]
    before = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "bands": lambda: measure_bands(photos),
        "scores": lambda: measure_scores(photos),
        "calibration": lambda: measure_scores(photos, CALIBRATED),
        "frontier": lambda: measure_frontier(
            photos, arguments.robust, before.get("frontier", []), arguments.flat
        ),
    }
    for row in parts[arguments.part]():
        print(json.dumps(row), flush=True)
        keep_row(arguments.results, arguments.part, row)


def load_photos(ratio: int, names: Sequence[str]) -> Iterator[tuple[str, Photo]]:
    """Free portraits and rendered people, `ratio` times as large as the editor works.

    Rendered people are enlarged: they are smooth, and so is their change easily seen.
    """
    area = (WORKING_SIDE * ratio) ** 2
    for path in (SOURCES[name] for name in names):
        photo = load_photo(path)
        width, height = photo.size
        factor = math.sqrt(area / (width * height))
        size = (round(width * factor), round(height * factor))
        array = Image.open(path).convert("RGB").resize(size, Image.Resampling.LANCZOS)
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{path.stem}-{ratio}.png"
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


def measure_scores(
    photos: list[tuple[int, str, Photo]], levels: Sequence[int] = (1, 2, 4, 8)
) -> Iterator[dict[str, Any]]:
    """The distance of random changes of several kinds, beside the scores of others."""
    for ratio, name, photo in photos:
        measure = VisibleDistance(photo.pixels)
        for kind, pattern in random_changes(photo.pixels):
            for strength in levels:
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


def measure_frontier(
    photos: list[tuple[int, str, Photo]],
    robust: str,
    before: Sequence[dict[str, Any]],
    flat: str = "4,8",
) -> Iterator[dict[str, Any]]:
    """Fall and visibility of our method and of flat sign steps; what was measured is left out."""
    editor = decontext.load_editor("kontext-mini")
    known = {tuple(row[name] for name in SAME) for row in before}
    versions = [
        ProtectSettings(strength="standard", robust=robust),
        *(
            ProtectSettings(method="sign", epsilon=float(n) / 255, robust=robust)
            for n in flat.split(",")
            if n
        ),
    ]
    for ratio, name, photo in photos:
        for settings in versions:
            label = settings.strength if settings.least_visible else f"{settings.budget * 255:g}"
            said = {
                "photo": name,
                "ratio": ratio,
                "method": settings.method,
                "strength": label,
                "robust": settings.robust,
            }
            if tuple(said[key] for key in SAME) not in known:
                yield said | _measure_version(
                    photo,
                    editor,
                    settings,
                    rendered=name.isdecimal(),
                    name=f"{name}-{ratio}-{settings.method}-{label}",
                )


def _measure_version(
    photo: Photo, editor: Any, settings: ProtectSettings, *, rendered: bool, name: str
) -> dict[str, Any]:
    """Protect a photo, keep the picture in the folder of builds, and measure it."""
    with _counted(editor) as passes:
        began = time.perf_counter()
        image = drain(protect_steps(photo, editor, settings))
        seconds = time.perf_counter() - began
    Image.fromarray(to_array(image)).save(FOLDER / f"{name}.png")
    found = verify_after(AFTER, image, photo, editor, prompts=HELD_OUT[:4], noises=1)
    return {
        "passes_with_gradient": passes[True],
        "passes_without": passes[False],
        "seconds": round(seconds, 1),
        "ssimulacra2": ssimulacra2(photo.pixels, image),
        "jod": jod(photo.pixels, image),
        "distance": float(VisibleDistance(photo.pixels)(image - photo.pixels)),
        "coarse_colour": coarse_colour(photo.pixels, image),
        "falls": {one.transform: round(one.drop, 3) for one in found},
        "edits": measure_edits(photo, image, editor, rendered) if settings.least_visible else {},
    }


def measure_edits(
    photo: Photo, image: Tensor, editor: Any, rendered: bool
) -> dict[str, list[float | None]]:
    """Similarity of edits to the photo's person, by SFace: of the photo and of copies; None where
    no face was found."""
    pictures = {"original": photo.pixels} | copies_of(image, EDITED)
    found = judge_edits(photo, pictures, editor, EDITS, rendered=rendered)
    return {name: [edit["sface"] for edit in edits] for name, edits in found.items()}


def copies_of(image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """A picture after what happens to published photos, by the name of that."""
    return {name: parse_transform(name)(image) for name in names}


def judge_edits(
    photo: Photo,
    pictures: Mapping[str, Tensor],
    editor: Any,
    instructions: Sequence[str],
    *,
    rendered: bool,
    steps: int | None = None,
) -> dict[str, list[dict[str, float | None]]]:
    """By picture, for each instruction: similarity of the edit to the photo's person by recogniser;
    None where no face was found."""
    judge = PersonJudge(centred=rendered)
    person = judge.describe(to_array(photo.pixels))

    def look(picture: Tensor, instruction: str) -> dict[str, float | None]:
        edited = judge.describe(to_array(editor.edit(picture, instruction, steps=steps)))
        values = judge.compare(person, edited)
        return {key: None if value is None else round(value, 3) for key, value in values.items()}

    return {
        name: [look(picture, instruction) for instruction in instructions]
        for name, picture in pictures.items()
    }


@contextmanager
def _counted(editor: Any) -> Iterator[dict[bool, int]]:
    """Within it, passes of the editor are counted: with gradient, and without."""
    counts, kind = {True: 0, False: 0}, type(editor)
    attend = kind.attend_latents

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        counts[torch.is_grad_enabled()] += 1
        return attend(self, *arguments, **options)

    kind.attend_latents = counting
    try:
        yield counts
    finally:
        kind.attend_latents = attend


def keep_row(results: Path, part: str, row: dict[str, Any]) -> None:
    """Add a row to the results; several processes may do it in turn."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = json.loads(results.read_text()) if results.is_file() else {}
        before.setdefault(part, []).append(row)
        results.write_text(json.dumps(before, indent=1) + "\n")


if __name__ == "__main__":
    main()
