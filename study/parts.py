"""What the study asks, one part a question, and how large it is at each level.

Everything random comes from the seeds of `ProtectSettings` and of the edits, which are 0 here: one
seed list. Parts share photos, instructions and protections, so that nothing is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from decontext.evaluation.plan import NONE, REDRAW, Plan, Protection, build_protections
from decontext.prompts import HELD_OUT
from decontext.publishing.transforms import EVALUATED
from decontext.settings import ProtectSettings

PEOPLE = Path(__file__).with_name("people")
BUDGETS = (4, 8, 12.75, 16)
OBJECTIVES = ("context-proportion", "attention-entropy", "flow", "encoder", "encoder-grey")
CONTROLS = ("random-sign", "uniform")
BLOCKS = ("all", "paper", "double", "single", "auto")
SIGMA_RANGES = ((0.98, 1.0), (0.9, 1.0), (0.7, 1.0), (0.3, 0.7), (0.0, 1.0))
STEPS = (25, 50, 100, 200, 400, 800)
SIDES = (512, 1500)
PUBLISHED = ("jpeg-75", "resize-0.5", "jpeg-75+resize-0.5")
INSTRUCTIONS = tuple(HELD_OUT[index] for index in (4, 0, 3))
"""Leave it the same, smile, before a wall: two easy ones and one that the embedded editor takes for
another scene, where it keeps nobody."""


@dataclass(frozen=True)
class Level:
    """How much is done. `people` is for the objectives, `few` for the parts that compare settings.

    Attributes:
        steps: optimisation steps wherever they are not the question.
        instructions: how many of `INSTRUCTIONS`.
        edit_steps: denoising steps of an edit.
        transformed, varied, enlarged: people of the parts on transforms, on steps and on sizes.
        longest: most steps of the part on steps.
        robust: levels of robustness that are compared.
    """

    people: int
    few: int
    steps: int
    instructions: int
    edit_steps: int
    transformed: int
    varied: int
    enlarged: int
    longest: int
    robust: tuple[str, ...]


LEVELS = {
    "toy": Level(2, 1, 2, 1, 1, 1, 1, 1, 50, ("off", "web")),
    "quick": Level(6, 4, 40, 2, 8, 4, 2, 1, 200, ("off", "web")),
    "full": Level(22, 4, 60, 3, 8, 4, 2, 2, 800, ("off", "web", "strong")),
}


@dataclass(frozen=True)
class Part:
    """One question. `versions` are compared, each with the name it has in the answer.

    Attributes:
        name: short, for options and markers.
        title, question: for the document.
        versions: the protections, in order; their labels are the part's own.
        photos: which files.
        transforms: what the photos go through before they are edited.
        rendered: see `Plan`.
        axis: what the numbers of `places` are, where the answer is a line.
        places: for each version a number; empty where the answer is bars.
        shift: moves photos to the next process, so that parts of one photo are shared out.
    """

    name: str
    title: str
    question: str
    versions: tuple[Protection, ...]
    photos: tuple[Path, ...]
    transforms: tuple[str, ...] = (NONE,)
    rendered: bool = True
    axis: str = ""
    places: tuple[float, ...] = ()
    shift: int = 0

    def plan(self, level: Level) -> Plan:
        """What has to be done for it."""
        return Plan(
            protections=self.versions,
            transforms=self.transforms,
            prompts=INSTRUCTIONS[: level.instructions],
            edit_steps=level.edit_steps,
            measure_prompts=1,
            cut=len(self.transforms) == 1,
            rendered=self.rendered,
        )


def build_parts(
    level: Level, *, portraits: tuple[Path, ...], enlarged: dict[int, tuple[Path, ...]]
) -> tuple[Part, ...]:
    """All parts at a level; `enlarged` are people by their longest side in pixels."""
    people = tuple(sorted(PEOPLE.glob("*.webp")))
    base = ProtectSettings(method="sign", steps=level.steps, robust="off")
    few = people[: level.few]
    parts = [
        Part(
            "objectives",
            "Objectives at equal budget",
            "All within 8/255, with the same steps; noise of the same budget is the control.",
            _named(build_protections((*OBJECTIVES, *CONTROLS), (8 / 255,), settings=base)),
            people[: level.people],
        ),
        Part(
            "budgets",
            "Budgets",
            "How far identity falls with the largest change of a colour value.",
            tuple(Protection(f"{n:g}/255", replace(base, epsilon=n / 255)) for n in BUDGETS),
            few,
            axis="budget in levels of 255",
            places=tuple(BUDGETS),
        ),
        Part(
            "transforms",
            "What survives publishing and cleaning",
            "Optimised through what sites do (`web`, ...), or not (`off`).",
            _robust(base, level.robust),
            people[: level.transformed],
            transforms=(*EVALUATED, REDRAW),
        ),
        *(
            _size_part(side, files, base=base, shift=number)
            for number, (side, files) in enumerate(enlarged.items())
        ),
        Part(
            "portraits",
            "The two free portraits",
            "Photographs, at their own size, with the recognisers' own thresholds.",
            (
                *_named(
                    build_protections(
                        ("context-proportion", "random-sign"), (8 / 255,), settings=base
                    )
                ),
                *_robust(base, ("web",)),
            ),
            portraits,
            rendered=False,
        ),
        Part(
            "blocks",
            "Attention blocks",
            "Which blocks the proportion is lowered in; `auto` is measured on the photo.",
            tuple(Protection(name, replace(base, blocks=name)) for name in BLOCKS),
            few,
        ),
        Part(
            "sigmas",
            "Noise levels",
            "Which noise levels the proportion is lowered at; the paper's are 0.98 to 1.",
            tuple(
                Protection(f"{low:g} to {high:g}", replace(base, sigma_range=(low, high)))
                for low, high in SIGMA_RANGES
            ),
            few,
        ),
        Part(
            "steps",
            "Optimisation steps",
            "How much longer runs bring.",
            tuple(
                Protection(f"{n} steps", replace(base, steps=n))
                for n in STEPS
                if n <= level.longest
            ),
            people[: level.varied],
            axis="steps",
            places=tuple(n for n in STEPS if n <= level.longest),
        ),
    ]
    return tuple(parts)


def _size_part(side: int, files: tuple[Path, ...], *, base: ProtectSettings, shift: int) -> Part:
    return Part(
        f"size-{side}",
        f"Photos of {side} pixels",
        f"Rendered people enlarged to {side} pixels (Lanczos) before they are protected.",
        _robust(base, ("off", "web")),
        files,
        transforms=(NONE, *PUBLISHED),
        shift=shift,
    )


def _robust(base: ProtectSettings, levels: tuple[str, ...]) -> tuple[Protection, ...]:
    methods = [f"context-proportion:{level}" for level in levels]
    found = build_protections(methods, (8 / 255,), settings=base)
    return tuple(
        Protection(f"robust {level}", one.settings)
        for level, one in zip(levels, found, strict=True)
    )


def _named(protections: tuple[Protection, ...]) -> tuple[Protection, ...]:
    """Labelled by their objective alone: the budget is the same for all."""
    return tuple(Protection(one.settings.objective, one.settings) for one in protections)
