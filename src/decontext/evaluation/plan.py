"""What an evaluation does: which photos, protected how, published how, edited by what.

First station of `decontext evaluate` and of the study: everything that follows is the product of
these lists, and a result belongs to one element of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from torch import Tensor

from decontext.editors import Editor
from decontext.errors import InputError
from decontext.folders.finding import walk_photos
from decontext.notation import LEVELS
from decontext.photo.formats import READ_ENDINGS
from decontext.prompts import HELD_OUT
from decontext.publishing.transforms import parse_transform
from decontext.report import FORMAT, report_path
from decontext.settings import Method, ObjectiveName, ProtectSettings, RobustLevel

ORIGINAL = "original"
"""In place of a protection: the photo as it was."""

CUT = "cut"
"""The original, edited with the attention to it cut: what a perfect protection would do."""

NONE, REDRAW = "none", "redraw"
REDRAW_INSTRUCTION = "remove the noise and keep the picture as it is"
"""Cleaning by an editor, with an instruction that asks for nothing else."""

TOGETHER = "+"
"""Between the names of editors that a photo is protected against at once."""

NOBODY: Mapping[str, Editor] = {}
TRANSFORMS = (NONE, "jpeg-75", "resize-0.5", "jpeg-75+resize-0.5")
ENDINGS = READ_ENDINGS
"""What counts as a picture in a folder, readable or not; other files are left alone."""

_METHODS = (*get_args(Method), *get_args(ObjectiveName))

PROTECTED = ".protected"
"""How `decontext protect` ends the name of a photo if it is not told one."""


@dataclass(frozen=True)
class Protection:
    """One way to protect: `label` is shown, `settings` do it.

    `against` names the editor that it is optimised on, several with `+`; empty: the one that edits.
    """

    label: str
    settings: ProtectSettings
    against: str = ""

    @property
    def key(self) -> str:
        """Ten characters that stand for these settings in file names and results."""
        said = json.dumps(self.settings.to_dict(), sort_keys=True)
        return hash_text(f"{said} {self.against}" if self.against else said)

    @property
    def editors(self) -> tuple[str, ...]:
        """Names of the editors that it is optimised on; none: the one that edits."""
        return tuple(self.against.split(TOGETHER)) if self.against else ()


@dataclass(frozen=True)
class Plan:
    """The lists whose product is evaluated.

    Attributes:
        protections: beside the original, which is always there.
        transforms: what happens to the photo before it is edited: names as `transforms` reads them,
            `none`, and `redraw` for cleaning by the editor itself, `redraw-NAME` by another one;
            several with `+`.
        prompts: instructions, not optimised on.
        seeds: each instruction is edited with the seeds 0 to `seeds` - 1.
        edit_steps: denoising steps of an edit; None: the editor's own.
        measure_prompts: instructions that the context proportion is measured with; 0: not at all.
        cut: also edit the original with the attention to it cut, as the bound of what is possible.
        rendered: the photos show rendered people, see `recognisers.PersonJudge`.

    Raises:
        InputError: there is no instruction or seed, or no such transform.
    """

    protections: tuple[Protection, ...]
    transforms: tuple[str, ...] = TRANSFORMS
    prompts: tuple[str, ...] = HELD_OUT[:4]
    seeds: int = 1
    edit_steps: int | None = None
    measure_prompts: int = 2
    cut: bool = True
    rendered: bool = False

    def __post_init__(self) -> None:
        if not self.prompts or self.seeds < 1 or not self.transforms:
            raise InputError("there must be an instruction, a seed and a transform to evaluate.")
        for name in self.transforms:
            _parts(name)


def build_protections(
    methods: Sequence[str],
    budgets: Sequence[float | None],
    *,
    settings: ProtectSettings,
    against: Sequence[str] = ("",),
) -> tuple[Protection, ...]:
    """Every method at every budget against all of `against`; the rest is as in `settings`.

    A budget of None is the method's own.

    A method is an objective, or with how robust it is to be: `context-proportion:web`. The
    names of `--method` stand for the context proportion with that method: `sign:off`. What it is
    optimised against is an editor's name, several with `+`; empty: the editor that edits.

    Raises:
        InputError: no such objective or level.
    """
    protections = []
    for method in methods:
        objective, _, robust = method.strip().partition(":")
        base = settings
        if objective in get_args(Method):
            base = replace(settings, method=cast(Method, objective))
            objective = "context-proportion"
        if objective not in get_args(ObjectiveName):
            raise InputError(f"no method is named {objective!r}; there are {', '.join(_METHODS)}.")
        if robust and robust not in get_args(RobustLevel):
            raise InputError(
                f"no level of robustness is named {robust!r}; there are "
                f"{', '.join(get_args(RobustLevel))}."
            )
        for budget in budgets:
            chosen = replace(base, objective=cast(ObjectiveName, objective), epsilon=budget)
            if robust:
                chosen = replace(chosen, robust=cast(RobustLevel, robust))
            label = f"{method.strip()} {_strength(chosen)}"
            for names in against:
                name = TOGETHER.join(part.strip() for part in names.split(TOGETHER))
                said = f"{label} against {name}" if name else label
                protections.append(Protection(said, chosen, name))
    return tuple(protections)


def find_photos(
    inputs: str | Path | Sequence[str | Path],
    *,
    recursive: bool = False,
    without: Path | None = None,
) -> tuple[Path, ...]:
    """The pictures of folders by name, readable or not, and single files as they are named.

    In folders hidden files are left out, unfinished files of a run that was killed among them, what
    lies in `without`, and protected photos: those with a report beside them, or named
    `NAME.protected` beside their original.

    Raises:
        InputError: there is no such file or folder, or no picture in it.
    """
    given = [Path(inputs)] if isinstance(inputs, str | Path) else [Path(path) for path in inputs]
    photos: dict[Path, None] = {}
    for path in given:
        if not os.path.lexists(path):
            raise InputError(f"{path} does not exist; it must be a photo or a folder of photos.")
        photos |= dict.fromkeys(_look_into(path, recursive, without) if path.is_dir() else [path])
    if not photos:
        hint = "" if recursive else " Sub-folders are looked into with --recursive."
        raise InputError(
            f"there is no picture to evaluate in {', '.join(map(str, given)) or 'the list'}.",
            f"Put some in it: {', '.join(ENDINGS)}; protected photos do not count.{hint}",
        )
    return tuple(photos)


def _look_into(folder: Path, recursive: bool, without: Path | None) -> Iterator[Path]:
    """The pictures of a folder that are no protected ones."""
    files = list(walk_photos(folder, recursive=recursive, without=without))
    names = {path.with_suffix("") for path in files}
    return (path for path in files if path.is_file() and not _is_protected(path, names))


def _is_protected(path: Path, names: Set[Path]) -> bool:
    """Whether a picture is what `decontext protect` makes, by its name or its report."""
    original, ending = path.stem[: -len(PROTECTED)], path.stem[-len(PROTECTED) :]
    if ending == PROTECTED and path.with_name(original) in names:
        return True
    try:
        report = json.loads(report_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and report.get("format") == FORMAT


def publish(
    name: str, picture: Tensor, *, editor: Editor, others: Mapping[str, Editor] = NOBODY
) -> Tensor:
    """What a picture `(1, 3, height, width)` looks like after a transform, by name.

    `others` are editors beside that one which may clean it, by their names.
    """
    for part in _parts(name):
        if _is_redraw(part):
            cleaner = others[part.removeprefix(f"{REDRAW}-")] if part != REDRAW else editor
            picture = cleaner.edit(picture, REDRAW_INSTRUCTION)
        else:
            picture = parse_transform(part)(picture)
    return picture


def other_editors(plan: Plan) -> tuple[str, ...]:
    """Names of the editors beside the one that edits: protected against, or to clean with."""
    parts = [part for name in plan.transforms for part in _parts(name)]
    cleaners = [p.removeprefix(f"{REDRAW}-") for p in parts if p.startswith(f"{REDRAW}-")]
    against = [name for protection in plan.protections for name in protection.editors]
    return tuple(dict.fromkeys([*against, *cleaners]))


def hash_text(text: str) -> str:
    """Ten characters that stand for a text in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def needs_editor(name: str) -> bool:
    """Whether a transform uses an editor."""
    return any(map(_is_redraw, _parts(name)))


def _parts(name: str) -> list[str]:
    """The operations of a transform. Raises: InputError: there is no such operation."""
    parts = [part.strip() for part in name.split("+")]
    for part in parts:
        if not _is_redraw(part):
            parse_transform(part)
    return parts


def _is_redraw(part: str) -> bool:
    return part == REDRAW or part.startswith(f"{REDRAW}-")


def _strength(settings: ProtectSettings) -> str:
    """How strongly a photo is changed: by a budget, or by what part attention is to fall."""
    if not settings.least_visible:
        return _levels(settings.budget)
    capped = "" if settings.epsilon is None else f" within {_levels(settings.epsilon)}"
    return f"fall {settings.wanted_fall:.0%}{capped}"


def _levels(epsilon: float) -> str:
    return f"{epsilon * LEVELS:.4g}/{LEVELS}"
