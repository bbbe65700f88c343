"""A protocol spread over a Ray cluster: its shares, each by a worker that holds the editor.

What `--shard` does by hand. Every share writes rows of its own into the folder, which all machines
must see under the same path. A worker that dies is replaced, and its share goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from decontext.cluster.actor import raise_error
from decontext.cluster.run import Cluster, choose_workers, explained, running_ray
from decontext.editors import Editor
from decontext.errors import DecontextError, InputError
from decontext.evaluation.photo_run import Instruments, OnProgress
from decontext.evaluation.protocols.pairs import read_pairs
from decontext.evaluation.protocols.people import find_people
from decontext.evaluation.protocols.plans import Part
from decontext.evaluation.protocols.run import (
    ROWS,
    Task,
    choose_parts,
    read_all,
    run_protocol,
)
from decontext.evaluation.results import Row
from decontext.evaluation.run import load_instruments
from decontext.folders.photo import EditorChoice
from decontext.folders.pool import quieten
from decontext.photo.files import make_folder

SHARES_OF_A_WORKER = 8
"""Few, as each has a file of rows that the others read; more than one, so that all end together."""

RETRIES = 3
"""How often a share is begun again by another worker after its own has died."""


class Worker:
    """Does shares; the editor and the recognisers are loaded once."""

    def __init__(self, choice: EditorChoice, output: Path, threads: int) -> None:
        import torch

        quieten()
        torch.set_num_threads(threads)
        self._choice, self._output = choice, output
        self._editor: Editor | None = None
        self._tools: Instruments | None = None

    def do(self, task: Task) -> tuple[tuple[Part, ...], str]:
        """The parts, or none and why it cannot be done at all."""
        try:
            if self._editor is None:
                self._editor = self._choice.load()
                (part, *_) = choose_parts(task, self._editor)
                plan = part.plan(
                    instructions=part.instructions or ("",),
                    rendered=task.rendered,
                    edit_steps=task.edit_steps,
                )
                self._tools = load_instruments(plan)
            parts, _ = run_protocol(task, self._output, self._editor, instruments=self._tools)
        except DecontextError as failed:
            return (), json.dumps([type(failed).__name__, failed.message, failed.hint])
        return parts, ""


def run_on_ray(
    task: Task,
    output: Path,
    choice: EditorChoice,
    *,
    cluster: Cluster | None = None,
    threads: int = 1,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> tuple[tuple[Part, ...], list[Row]]:
    """As `run_protocol`, over all shares.

    Args:
        output: a folder that every worker sees.
        choice: which editor each worker loads.
        cluster: where; by default on a cluster of its own on this machine.
        threads: of each worker, on processors.
        force: begin again.
        on_progress: called with (shares done, shares, what) as they are done.

    Raises:
        InputError: Ray is not installed or not reached, or as `run_protocol`.
        DecontextError: workers die.
    """
    cluster, output = cluster or Cluster(), output.resolve()
    if task.shard != (1, 1):
        raise InputError("--shard is a share by hand, and Ray makes its own.", "Leave one out.")
    people = count_people(task)
    make_folder(output)
    for path in output.glob(ROWS) if force else ():
        path.unlink()
    with running_ray(cluster, threads=threads):
        import ray

        workers, on_gpu = choose_workers(cluster, choice.device, people)
        count = min(people, workers * SHARES_OF_A_WORKER)
        tasks = [replace(task, shard=(number, count)) for number in range(1, count + 1)]
        remote: Any = ray.remote(
            num_cpus=threads,
            num_gpus=1 if on_gpu else 0,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )(Worker)
        # Workers run in folders of their own.
        elsewhere = choice.from_anywhere()
        made = [remote.remote(elsewhere, output, threads) for _ in range(workers)]
        parts = _collect(made, tasks, on_progress)
    return parts, read_all(output)


def count_people(task: Task) -> int:
    """How many people, or pictures of pairs, there are to share out. Raises: InputError."""
    if task.protocol == "veto":
        return max(len(photos) for photos in read_pairs(task.folder).values())
    return len(find_people(task.folder, photos_each=task.photos_each))


def _collect(
    workers: Sequence[Any], tasks: Sequence[Task], on_progress: OnProgress | None
) -> tuple[Part, ...]:
    """Hand out all shares and wait for them."""
    from ray.util import ActorPool

    pool: Any = ActorPool(list(workers))
    tell = on_progress or (lambda done, total, what: None)
    parts: tuple[Part, ...] = ()
    tell(0, len(tasks), "shares")
    with explained():
        found = pool.map_unordered(lambda worker, task: worker.do.remote(task), list(tasks))
        for done, (made, error) in enumerate(found, 1):
            if error:
                raise_error(error)
            parts = made
            tell(done, len(tasks), "shares")
    return parts
