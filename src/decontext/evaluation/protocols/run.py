"""Carries out a protocol, all of it or a share: `decontext evaluate --protocol NAME`.

Each share writes rows of its own into the folder, and knows those of the others; the page is made
from all rows that are there. Stopped and started again it does what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decontext.editors import Editor
from decontext.errors import InputError
from decontext.evaluation.photo_run import Instruments, OnProgress
from decontext.evaluation.protocols.pairs import read_pairs
from decontext.evaluation.protocols.people import find_people, take_shard
from decontext.evaluation.protocols.plans import Part, build_parts
from decontext.evaluation.results import Row, identify, merge_rows, read_rows
from decontext.evaluation.run import evaluate, load_instruments

ROWS = "results-*-of-*.jsonl"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What of a protocol is to be done.

    Attributes:
        protocol: one of `plans.PROTOCOLS`.
        folder: of people, or with `pairs.jsonl`.
        parts: names of parts; empty: all.
        shard: (which, of how many), from 1.
        photos_each: so many photos of a person; None: all.
        rendered: the photos show rendered people.
        edit_steps: denoising steps of an edit; None: the editor's own.
        settings: what is to be otherwise than published.
    """

    protocol: str
    folder: Path
    parts: tuple[str, ...] = ()
    shard: tuple[int, int] = (1, 1)
    photos_each: int | None = None
    rendered: bool = False
    edit_steps: int | None = None
    settings: Mapping[str, Any]


def choose_parts(task: Task, editor: Editor) -> tuple[Part, ...]:
    """The parts of the task. Raises: InputError: the protocol or a part is unknown."""
    blocks = (editor.info.double_blocks, editor.info.single_blocks)
    parts = build_parts(task.protocol, settings=task.settings, blocks=blocks)
    names = [part.name for part in parts]
    for name in task.parts:
        if name not in names:
            raise InputError(f"no part is named {name!r}; there are {', '.join(names)}.")
    return tuple(part for part in parts if not task.parts or part.name in task.parts)


def run_protocol(
    task: Task,
    output: Path,
    editor: Editor,
    *,
    instruments: Instruments | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> tuple[tuple[Part, ...], list[Row]]:
    """Do what is missing, and return the parts and all rows that are in the folder.

    Args:
        output: folder of rows and pictures; made where it is missing.
        editor: both protected against and edited with.
        instruments: what to measure with; loaded where None.
        force: begin this share again.
        on_progress: called before each picture with (done, in all, what): of one part and group.

    Raises:
        InputError: as `evaluation.run.evaluate`; or the task cannot be understood.
    """
    parts = choose_parts(task, editor)
    number, count = task.shard
    name = f"results-{number}-of-{count}.jsonl"
    tools = instruments
    companions = {content: path.name for content, path in find_originals(task).items()}
    for part in parts:
        for instructions, photos in _groups(task, part):
            plan = part.plan(
                instructions=instructions, rendered=task.rendered, edit_steps=task.edit_steps
            )
            tools = tools or load_instruments(plan)
            evaluate(
                photos,
                output,
                editor,
                plan,
                instruments=tools,
                name=name,
                known=sorted(output.glob(ROWS)),
                companions=companions,
                force=force,
                on_progress=on_progress,
            )
            force = False
    return parts, read_all(output)


def find_originals(task: Task) -> dict[str, Path]:
    """The photos of the whole protocol by their SHA-256, those of other shares too."""
    if task.protocol == "veto":
        groups = list(read_pairs(task.folder).values())
    else:
        groups = list(find_people(task.folder, photos_each=task.photos_each).values())
    contents = identify([path for paths in groups for path in paths if path.is_file()])
    return {content: path for path, content in contents.items()}


def read_all(output: Path) -> list[Row]:
    """The rows of all shares in the folder. Raises: InputError: a file cannot be read."""
    return merge_rows(read_rows(sorted(output.glob(ROWS))))


def _groups(task: Task, part: Part) -> Iterable[tuple[tuple[str, ...], tuple[Path, ...]]]:
    """Photos of this share that are asked the same instructions."""
    if part.instructions:
        people = find_people(task.folder, photos_each=task.photos_each)
        photos = take_shard(people, task.shard)
        return [(part.instructions, photos)] if photos else []
    groups = []
    for instructions, paths in read_pairs(task.folder).items():
        share = take_shard({str(path): [path] for path in paths}, task.shard)
        if share:
            groups.append((instructions, share))
    return groups
