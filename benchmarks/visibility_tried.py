"""Other ways to search for the least visible change: `python -m benchmarks.visibility_tried`.

Each runs on the same photos as the default: what cutting and moving costs where the search is made
to answer it, one copy or several in a step, other courses of the step size, and blocks that cost
less in the first steps. Rows are added to `tried` in docs/visibility.json; what is there already
is not run again. `python -m benchmarks.visibility page` writes the table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import decontext
from benchmarks.visibility import FOLDER, RESULTS, keep_row, load_photos
from decontext.editors import Editor
from decontext.editors.several import gather
from decontext.least_visible import demand_of, least_judge
from decontext.objectives import Objective, build_each, working_sizes
from decontext.photo.images import Photo
from decontext.preparing import settle_each
from decontext.progress import drain
from decontext.prompts import HELD_OUT
from decontext.publishing.copies import SAVED, draw_copy, kinds_of
from decontext.saving import AS_IT_IS
from decontext.settings import USUAL_STEPS, ProtectSettings
from decontext.verify import verify_after
from decontext.visibility import lessen
from decontext.visibility.demands import Demand, Demands
from decontext.visibility.jod import jod
from decontext.visibility.layers import first_layer, times_as_long
from decontext.visibility.scores import ssimulacra2

RATIO = 4
MOVED = "moved"
FARTHEST = 15
"""Pixels of what the editor sees, each way and down, that a photo is moved by at most."""

SHOWN_MOVES = (1, 4, 8)
AFTER = ("none", "jpeg-75", "flip", "crop-5", "crop-10")
CHEAP_STEPS = 20
HALVED_AT = (0.22, 0.41, 0.57, 0.70, 0.80, 0.87)
"""Parts of the way at which Auto-PGD (arXiv 2003.01690) asks whether to halve the step."""


@dataclass(frozen=True)
class Way:
    """How one search differs from the default.

    Attributes:
        kinds: of copies, in place of those of `--robust web`.
        pressure: of a kind: at first, and at most.
        copies: how many of a kind are looked at in one step, by kind.
        course: of the step size, from part of the way to 0 to 1; None is the default's.
        cheap: blocks that are looked at alone in the first steps.
        steps: at most.
    """

    name: str
    kinds: tuple[str, ...] = ()
    pressure: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)
    course: Callable[[float], float] | None = None
    cheap: str | None = None
    steps: int = USUAL_STEPS


def _halving(part: float) -> float:
    return float(0.5 ** sum(part >= place for place in HALVED_AT))


WAYS = (
    Way("default"),
    Way(
        "moved by up to 15 pixels of the editor, bounded price",
        kinds=(SAVED, "reduced", "mirrored", MOVED),
        pressure={MOVED: (2.0, 3.5)},
    ),
    Way(
        "cut, price bounded by 10",
        kinds=(SAVED, "reduced", "cut", "mirrored"),
        pressure={"cut": (3.0, 10.0)},
    ),
    Way(
        "the same, four crops a step",
        kinds=(SAVED, "reduced", "cut", "mirrored"),
        pressure={"cut": (3.0, 10.0)},
        copies={"cut": 4},
    ),
    Way(
        "cut at any price, eight crops a step",
        kinds=(SAVED, "cut"),
        pressure={"cut": (200.0, 1e4)},
        copies={"cut": 8},
        steps=60,
    ),
    Way("steps halved at Auto-PGD's places", course=_halving),
    Way("steps along a line", course=lambda part: 1 - part),
    Way("double blocks alone for the first 20 steps", cheap="double"),
)


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", default="90000,grace_hopper", help="names, with commas")
    parser.add_argument("--ways", default="", help="numbers, with commas, from 0; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file that is added to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = (
        [int(text) for text in arguments.ways.split(",")] if arguments.ways else range(len(WAYS))
    )
    editor = decontext.load_editor("kontext-mini")
    for name, photo in load_photos(RATIO, arguments.photos.split(",")):
        for way in (WAYS[number] for number in chosen):
            rows = json.loads(arguments.results.read_text()).get("tried", [])
            if not any((row["photo"], row["way"]) == (name, way.name) for row in rows):
                row = {"photo": name, "way": way.name} | measure_way(photo, editor, way)
                print(json.dumps(row), flush=True)
                FOLDER.mkdir(parents=True, exist_ok=True)
                keep_row(arguments.results, "tried", row)


def measure_way(photo: Photo, editor: Editor, way: Way) -> dict[str, Any]:
    """Search on a photo, and say how visible the change is and what copies keep of the fall."""
    search = Search(photo, editor, ProtectSettings(strength="standard", robust="web"), way)
    began = time.perf_counter()
    image = drain(search.run())
    seconds = time.perf_counter() - began
    found = verify_after(AFTER, image, photo, editor, prompts=HELD_OUT[:2], noises=1)
    moves = {
        f"moved-{pixels}": 1
        - search.judge(move(image, *[RATIO * pixels] * 2))
        / search.judge(move(photo.pixels, *[RATIO * pixels] * 2))
        for pixels in SHOWN_MOVES
    }
    return {
        "ssimulacra2": ssimulacra2(photo.pixels, image),
        "jod": jod(photo.pixels, image),
        "passes_with_gradient": search.looks,
        "seconds": round(seconds, 1),
        "falls": {one.transform: round(one.drop, 3) for one in found}
        | {name: round(fall, 3) for name, fall in moves.items()},
    }


class Search:
    """The search of `decontext.least_visible` with what a way has in place of it."""

    def __init__(self, photo: Photo, editor: Editor, settings: ProtectSettings, way: Way) -> None:
        self._photo, self._settings, self._way = photo, settings, way
        self._full, judged = _objectives(photo, editor, settings)
        self.judge = least_judge(judged, AS_IT_IS)
        self._cheap = (
            self._full
            if way.cheap is None
            else _objectives(photo, editor, replace(settings, blocks=way.cheap))[0]
        )
        self._sizes = list(working_sizes(editor, photo.pixels, settings.working_sides))
        self._steps = self.looks = 0
        self._generator = torch.Generator().manual_seed(settings.seed)

    def run(self) -> Any:
        """The steps of the search."""
        course = lessen.left
        if self._way.course is not None:
            lessen.left = self._left
        try:
            return (
                yield from lessen.lessen(
                    self._expect,
                    self._photo.pixels,
                    Demands(self._demands()),
                    judge=self.judge,
                    epsilon=self._settings.budget,
                    steps=max(self._settings.steps, self._way.steps),
                    generator=self._generator,
                    first=first_layer(self._photo.size, self._sizes),
                )
            )
        finally:
            lessen.left = course

    def _left(self, index: int, planned: int) -> float:
        assert self._way.course is not None
        return min(1.0, index / lessen.WARMING) * self._way.course(min(1.0, index / planned))

    def _demands(self) -> dict[str, Demand]:
        ratio = times_as_long(self._photo.size, self._sizes)
        found = {}
        for kind in self._way.kinds or kinds_of(self._settings.robust, ratio):
            usual = demand_of(kind, self._settings.wanted_fall, ratio)
            first, bound = self._way.pressure.get(kind, (usual.pressure, usual.bound))
            found[kind] = replace(usual, pressure=first, bound=bound)
        return found

    def _expect(self, image: Tensor, kind: str) -> Tensor:
        """The geometric mean of what copies of a kind show."""
        objective = self._cheap if self._steps < CHEAP_STEPS else self._full
        self._steps += 1
        logarithms = []
        for _ in range(self._way.copies.get(kind, 1)):
            self.looks += 1
            copy = self._copy(image, kind)
            logarithms.append(objective(copy, self._generator).log())
        return torch.stack(logarithms).mean().exp()

    def _copy(self, image: Tensor, kind: str) -> Tensor:
        if kind != MOVED:
            draw = draw_copy(kind, self._settings.robust, self._photo.size, self._generator)
            return draw(image, self._generator)
        reach = FARTHEST * RATIO
        right, down = torch.randint(-reach, reach + 1, (2,), generator=self._generator).tolist()
        return move(image, right, down)


def _objectives(
    photo: Photo, editor: Editor, settings: ProtectSettings
) -> tuple[Objective, Sequence[Objective]]:
    """What a step lowers, and what judges."""
    crew = gather(editor)
    own = settle_each(photo, crew, settings)
    (objective,) = build_each(crew, photo.pixels, own)
    return objective, build_each(crew, photo.pixels, own, samples=1)


def move(image: Tensor, right: int, down: int) -> Tensor:
    """A picture moved by whole pixels; what comes in repeats the border."""
    height, width = image.shape[-2:]
    reach = max(abs(right), abs(down))
    around = functional.pad(image, (reach,) * 4, mode="replicate")
    return around[..., reach - down : reach - down + height, reach - right : reach - right + width]


if __name__ == "__main__":
    main()
