"""Protects many photos into a folder: resumable, and whatever is wrong with one costs no other.

Between the list of photos and the manifest: what is done already is told apart, the rest goes to
the editor, in this process or in several, and every photo ends as one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.errors import InputError
from decontext.folders.finding import Task
from decontext.folders.manifest import NAME, STATUSES, Manifest, Row
from decontext.folders.photo import Work, protect_one, skip
from decontext.folders.pool import Pool
from decontext.photo.files import clear_leftovers, make_folder
from decontext.photo.lock import hold_lock
from decontext.report import sha256


@dataclass(frozen=True)
class Progress:
    """Where a run is, told after every step.

    Attributes:
        photo: name of the photo that this is about.
        part: how far that photo is, in [0, 1].
        note: what is being done with it.
        row: its row, when it is done.
        earlier: whether that row is of an earlier run.
        done: photos that are done, earlier ones included.
        total: photos in all.
    """

    photo: str
    part: float
    note: str
    row: Row | None
    earlier: bool
    done: int
    total: int


OnProgress = Callable[[Progress], None]


def protect_folder(
    tasks: Sequence[Task],
    work: Work,
    *,
    load: Callable[[], Editor | Crew] | None = None,
    devices: Sequence[str | None] = (None,),
    on_progress: OnProgress | None = None,
) -> Generator[Row, None, None]:
    """Protect photos into a folder; yields the row of each as it is done, earlier ones included.

    Started again it goes on: what the manifest in the folder names is not done again.

    Args:
        tasks: what `find_tasks` found.
        work: how, and into which folder.
        load: gives the editor for this process, once there is a photo to protect; without it each
            entry of `devices` has a process and an editor of its own.
        devices: where those run; None is the editor's own choice.
        on_progress: called after every step.

    Raises:
        InputError: another run is writing there, or has begun there with other settings.
        EditorError: the editor's weights are missing or damaged.
    """
    make_folder(work.folder)
    with hold_lock(work.folder / NAME):
        manifest = Manifest(work.folder / NAME, work.heading(), force=work.force)
        work = replace(work, take_over=manifest.is_continued)
        for folder in {work.folder / task.name for task in tasks}:
            clear_leftovers(folder.parent)
        run = _Run(tasks, work, manifest, on_progress)
        yield from run.run(load, devices)


class _Run:
    """Counts, and keeps the manifest."""

    def __init__(
        self,
        tasks: Sequence[Task],
        work: Work,
        manifest: Manifest,
        on_progress: OnProgress | None,
    ) -> None:
        self._tasks, self._work, self._manifest = tasks, work, manifest
        self._tell = on_progress or (lambda progress: None)
        self._done = 0
        self._skipped: list[Row] = []

    def run(
        self, load: Callable[[], Editor | Crew] | None, devices: Sequence[str | None]
    ) -> Iterator[Row]:
        """All rows; those that took no work come with the next that did."""
        rows = (
            Pool(self._work, devices, self._part).run(self._waiting())
            if load is None
            else self._protect_here(load)
        )
        for row in rows:
            yield from self._take_skipped()
            self._manifest.add(row)
            yield self._count(row)
        yield from self._take_skipped()

    def _protect_here(self, load: Callable[[], Editor | Crew]) -> Iterator[Row]:
        work, editor = self._work, None
        for task in self._waiting():
            editor = editor or load()
            yield protect_one(task, editor, work, partial(self._part, task.name))

    def _waiting(self) -> Iterator[Task]:
        """The photos that need work, their content known; looked at when their turn comes."""
        for task in self._tasks:
            task = replace(task, digest=sha256(Path(task.source)) or "")
            row = skip(task, self._manifest, self._work)
            if row is None:
                yield task
            else:
                self._skipped.append(row)

    def _take_skipped(self) -> Iterator[Row]:
        for row in self._skipped:
            if self._manifest.find(row["name"], row["original_sha256"]) != row:
                self._manifest.add(row)
                yield self._count(row)
            else:
                yield self._count(row, earlier=True)
        self._skipped.clear()

    def _count(self, row: Row, *, earlier: bool = False) -> Row:
        self._done += 1
        self._tell(
            Progress(row["name"], 1.0, row["status"], row, earlier, self._done, len(self._tasks))
        )
        return row

    def _part(self, name: str, done: int, total: int, note: str) -> None:
        self._tell(
            Progress(name, min(1.0, done / total), note, None, False, self._done, len(self._tasks))
        )


def spread(jobs: int | None, devices: Sequence[str]) -> tuple[str | None, ...]:
    """The device of each process: `jobs` of them, in turn over the devices.

    Raises:
        InputError: fewer processes than devices.
    """
    count = jobs or max(1, len(devices))
    if count < len(devices):
        raise InputError(
            f"--jobs is {count}, and there are {len(devices)} devices; "
            "each device needs a process of its own.",
            "Leave --jobs out.",
        )
    return tuple(devices[i % len(devices)] if devices else None for i in range(count))


def count_statuses(rows: Sequence[Row]) -> dict[str, int]:
    """How many photos have each status."""
    found = Counter(row["status"] for row in rows)
    return {status: found[status] for status in STATUSES if found[status]}
