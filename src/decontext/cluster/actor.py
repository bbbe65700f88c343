"""What Ray holds: a worker with its editor, to which photos come in small blocks.

While one photo is protected the next one is read. Rows leave one by one, so that little is done
again when a worker dies: Ray gives its block to another one, which takes over what lies there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from decontext.cluster.metrics import Metrics
from decontext.cluster.photo import (
    ATTEMPTS,
    Fetched,
    Job,
    fetch,
    protect_fetched,
    skip,
    too_often,
)
from decontext.cluster.stores import Place
from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.errors import DecontextError
from decontext.folders.manifest import FAILED, SAVED, Row
from decontext.folders.photo import Work, build_row
from decontext.folders.pool import quieten

LOADS = 5
"""How often workers in a row may end while they load an editor."""

JOB, ROW, ERROR = "job", "row", "error"
"""Columns: what comes to a worker, what leaves it, and why nothing can be done at all."""


class Protector:
    """A worker."""

    def __init__(self, *, work: Work, place: Place, desk: Any) -> None:
        import ray

        self._work, self._place, self._desk = work, place, desk
        self._results: frozenset[str] = ray.get(desk.results.remote())
        self._metrics = Metrics(work.editor.name)
        self._reader = ThreadPoolExecutor(1)
        self._editor: Editor | Crew | None = None

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Protect the photos of a block; yields the row of each."""
        jobs = [Job.from_json(str(text)) for text in batch[JOB]]
        coming: Future[Fetched] = self._reader.submit(fetch, jobs[0])
        for number, job in enumerate(jobs):
            fetched = coming.result()
            if number + 1 < len(jobs):
                coming = self._reader.submit(fetch, jobs[number + 1])
            try:
                row, error = self._protect(job, fetched), ""
            except DecontextError as failed:
                row = {}
                error = json.dumps([type(failed).__name__, failed.message, failed.hint])
            yield {ROW: [json.dumps(row)], ERROR: [error]}
            if error:
                return

    def _protect(self, job: Job, fetched: Fetched) -> Row:
        """A photo's row. Raises: DecontextError: the editor cannot be loaded."""
        import ray

        work = self._work
        if not (work.take_over or work.force):
            again: bool = ray.get(self._desk.was_here.remote(job.task.name))
            work = replace(work, take_over=again)
        try:
            row = skip(fetched, work, self._place, self._results)
        except DecontextError as error:
            row = build_row(job.task, FAILED, message=str(error))
        if row is not None:
            return row
        editor = self._load()
        tries = ray.get(self._desk.begin.remote(job.task.name))
        if tries > ATTEMPTS:
            row = too_often(job, tries - 1) | {"original_sha256": fetched.digest}
        else:
            self._metrics.begin()
            row = protect_fetched(fetched, editor, self._work, self._place, self._count)
        self._metrics.end(row)
        self._desk.end.remote(job.task.name, row["status"] in SAVED)
        return row

    def _load(self) -> Editor | Crew:
        if self._editor is None:
            import ray
            import torch

            quieten()
            torch.set_num_threads(self._work.threads or 1)
            name = ray.get_runtime_context().get_actor_id() or ""
            if ray.get(self._desk.load.remote()) > LOADS:
                raise DecontextError(
                    "workers end before they have loaded the editor.",
                    "Try fewer --jobs: each needs the editor's memory.",
                )
            self._editor = self._work.editor.load()
            ray.get(self._desk.loaded.remote(name, os.getpid()))
        return self._editor

    def _count(self, done: int, total: int, note: str) -> None:
        del done, total
        if note == "protecting":
            self._metrics.step()


def raise_error(text: str) -> None:
    """Raise what a worker found. Raises: DecontextError."""
    from decontext import errors

    name, message, hint = json.loads(text)
    kind = getattr(errors, name, DecontextError)
    raise kind(message, hint)


def cut(jobs: Sequence[Any], *, workers: int) -> int:
    """How many blocks to cut the photos into.

    Small ones, so that all workers end at about the same time and a dead one loses little; but
    not one a photo among a million, as every block costs Ray about a millisecond.
    """
    each = min(LARGEST_BLOCK, max(1, len(jobs) // (workers * BLOCKS_OF_A_WORKER)))
    return -(-len(jobs) // each)


LARGEST_BLOCK = 16
BLOCKS_OF_A_WORKER = 64
