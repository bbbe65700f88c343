"""Several processes that protect photos side by side, each with an editor of its own.

A process that dies, killed by the system for its memory for example, is replaced and its photo
tried once more. When this process dies, the others end by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from decontext.errors import DecontextError
from decontext.folders.finding import Task
from decontext.folders.manifest import FAILED, Row
from decontext.folders.photo import Work, build_row, protect_one

ATTEMPTS = 2
"""How often a photo is tried whose process dies, and loading the editor likewise."""

SECONDS_TO_END = 10
SECONDS_BETWEEN_PARTS = 0.2

OnPart = Callable[[str, int, int, str], None]
"""Called with (name of the photo, steps done, steps in all, what there is to say)."""


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, and the pipe whose closing ends it."""

    number: int
    process: BaseProcess
    pipe: Connection
    lifeline: Connection
    task: Task | None = None
    ready: bool = False


@dataclass(eq=False)
class Pool:
    """Processes that take photos one at a time; one for each entry of `devices`."""

    work: Work
    devices: Sequence[str | None]
    on_part: OnPart
    _workers: list[_Worker] = field(default_factory=list)
    _attempts: dict[str, int] = field(default_factory=dict)
    _unready: int = 0

    def run(self, tasks: Iterator[Task]) -> Iterator[Row]:
        """Protect the photos; rows come in the order in which they are done.

        Raises:
            DecontextError: the editor cannot be loaded, or processes die before it is.
        """
        again: list[Task] = []
        try:
            first = next(tasks, None)
            if first is None:
                return
            again.append(first)
            self._workers = [self._start(number) for number in range(len(self.devices))]
            while again or any(worker.task for worker in self._workers):
                for worker in self._waiting():
                    row = self._hear(worker, again)
                    if row is not None:
                        yield row
                for worker in self._workers:
                    if worker.ready and worker.task is None:
                        self._give(worker, again.pop() if again else next(tasks, None))
        finally:
            self._stop()

    def _start(self, number: int) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        ending, lifeline = context.Pipe(duplex=False)
        process = context.Process(
            target=_run_worker, args=(theirs, ending, self.work, self.devices[number]), daemon=True
        )
        process.start()
        theirs.close()
        ending.close()
        return _Worker(number, process, ours, lifeline)

    def _waiting(self) -> list[_Worker]:
        """The processes that have something to say, or died."""
        pipes = {worker.pipe: worker for worker in self._workers}
        return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]

    def _hear(self, worker: _Worker, again: list[Task]) -> Row | None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replace(worker, again)
        if kind == "part":
            self.on_part(*content)
        elif kind == "ready":
            worker.ready = True
        elif kind == "error":
            raise content
        else:
            worker.task = None
            return Row(content)
        return None

    def _give(self, worker: _Worker, task: Task | None) -> None:
        if task is not None:
            worker.task = task
            try:
                worker.pipe.send((task, task.name in self._attempts))
            except OSError:
                pass  # It has just died; its end of the pipe says so next.

    def _replace(self, worker: _Worker, again: list[Task]) -> Row | None:
        """Another process in the place of a dead one; its photo is tried again, or given up."""
        worker.process.join()
        code = worker.process.exitcode
        self._unready += not worker.ready
        if self._unready >= ATTEMPTS:
            raise DecontextError(
                f"processes end before they have loaded the editor, the last with code {code}.",
                "Try fewer --jobs: each needs the editor's memory.",
            )
        worker.lifeline.close()
        self._workers[worker.number] = self._start(worker.number)
        task = worker.task
        if task is None:
            return None
        tries = self._attempts[task.name] = self._attempts.get(task.name, 0) + 1
        if tries < ATTEMPTS:
            again.append(task)
            return None
        return build_row(
            task,
            FAILED,
            message=f"the process ended with code {code}, {tries} times; "
            "there may be too little memory for this photo.",
        )

    def _stop(self) -> None:
        """End all processes, and let them remove what is unfinished."""
        for worker in self._workers:
            if worker.task is None:
                worker.pipe.close()
            elif worker.process.is_alive():
                worker.process.terminate()
        until = time.monotonic() + SECONDS_TO_END
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.lifeline.close()
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _run_worker(pipe: Connection, lifeline: Connection, work: Work, device: str | None) -> None:
    """A process: loads the editor, then protects what comes through the pipe."""
    # Ctrl-C reaches every process of a terminal: the first one decides, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    try:
        quieten()
        if work.threads is not None:
            import torch

            torch.set_num_threads(work.threads)
        try:
            editor = work.editor.load(device)
        except DecontextError as error:
            pipe.send(("error", error))
            return
        pipe.send(("ready", None))
        while True:
            task, again = pipe.recv()
            # The process that died may have saved the photo just before.
            this = replace(work, take_over=work.take_over or (again and not work.force))
            row = protect_one(task, editor, this, _teller(pipe, task.name))
            pipe.send(("row", row))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _teller(pipe: Connection, name: str) -> Callable[[int, int, str], None]:
    """Says how far a photo is, not more often than anybody can see."""
    last = 0.0

    def tell(done: int, total: int, note: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_PARTS or done == total:
            last = time.monotonic()
            pipe.send(("part", (name, done, total, note)))

    return tell


def _end_with(lifeline: Connection) -> Any:
    """Wait until the first process is gone, and end this one."""
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


def quieten() -> None:
    """Remarks meant for programmers of the libraries below are not for the user's terminal."""
    import warnings

    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    warnings.simplefilter("ignore")
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
