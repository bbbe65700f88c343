"""Jobs that wait for a device: one at a time on each, in the order in which they came.

Knows neither photos nor browsers. A job is a function that is told where to report how far it is
and when to stop; who asked for it watches the `Job`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from decontext.errors import CancelledError, DecontextError, InputError

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
MOST_VALUES = 400
"""Values that are kept for the curve; where there are more, every second one is dropped."""


@dataclass(eq=False)
class Job:
    """Something that was asked for.

    Attributes:
        visit: the key of who asked for it.
        work: called with the job and the name of its device, in a thread of that device.
        state: "waiting", "running", "done", "failed" or "cancelled".
        done, total: how far it is.
        message: what is being done.
        photo: which photo of `photos` it is at, from 1.
        values: the measured attention, falling.
        result: what `work` returned.
        error: why it failed.
    """

    visit: str
    work: Callable[[Job, str], Any]
    photos: int = 1
    state: State = "waiting"
    done: int = 0
    total: int = 1
    stage: str = ""
    message: str = ""
    photo: int = 1
    values: list[float] = field(default_factory=list)
    started: float = 0.0
    seconds: float = 0.0
    result: Any = None
    error: DecontextError | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _stride: int = 1
    _seen: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def part(self) -> float:
        """How much of it is done, [0, 1]."""
        if self.state == "done":
            return 1.0
        whole = (self.photo - 1 + min(1.0, self.done / max(1, self.total))) / max(1, self.photos)
        return min(1.0, whole)

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None where that is not known yet."""
        if self.state != "running" or self.part < 0.03:
            return None
        return (time.monotonic() - self.started) * (1 - self.part) / self.part

    def is_set(self) -> bool:
        """Whether it is to stop: what `cancel=` of the library takes."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop it as soon as that is possible."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; whether it has."""
        return self._ended.wait(seconds)

    def next_photo(self, number: int) -> None:
        """The next photo begins. Raises: CancelledError."""
        self.photo, self.done, self.total, self.values = number, 0, 1, []
        self._stride, self._seen = 1, 0
        if self.is_set():
            raise CancelledError("stopped, as was asked; nothing was written.")

    def add_value(self, value: float) -> None:
        """One more point of the curve."""
        if self._seen % self._stride == 0:
            self.values.append(value)
        self._seen += 1
        if len(self.values) > MOST_VALUES:
            self.values = self.values[::2]
            self._stride *= 2


class Queue:
    """A line of jobs, and a thread for each device that takes the next one.

    Args:
        devices: a name for each thread, handed to the jobs.
        most: jobs that may wait; more are refused.
    """

    def __init__(self, devices: Sequence[str], *, most: int) -> None:
        self.devices, self.most = tuple(devices), most
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, args=(device,), name=f"device {device}")
            for device in self.devices
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> Job:
        """Put a job at the end of the line.

        Raises:
            InputError: too many wait already, or the program is stopping.
        """
        with self._changed:
            if self._closed:
                raise InputError("the program is stopping.", "Start it again.")
            if len(self._waiting) >= self.most:
                raise InputError(
                    f"{self.most} jobs are waiting already; no more are taken.",
                    "Try again in a few minutes.",
                )
            self._waiting.append(job)
            self._changed.notify()
        return job

    def position(self, job: Job) -> int:
        """How many are before this one in the line; 0 is next, or no longer waiting."""
        with self._changed:
            return self._waiting.index(job) if job in self._waiting else 0

    def cancel(self, job: Job) -> None:
        """Stop a job; one that waits leaves the line at once."""
        job.cancel()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                _finish(job, "cancelled")

    def cancel_visit(self, visit: str) -> list[Job]:
        """Stop all that somebody asked for, and return it."""
        with self._changed:
            jobs = [job for job in (*self._waiting, *self._running) if job.visit == visit]
        for job in jobs:
            self.cancel(job)
        return jobs

    def count(self) -> tuple[int, int]:
        """How many jobs are running, and how many wait."""
        with self._changed:
            return len(self._running), len(self._waiting)

    def close(self, seconds: float = 60.0) -> None:
        """Take nothing more, stop everything, and wait for the threads."""
        with self._changed:
            self._closed = True
            jobs = [*self._waiting, *self._running]
            self._changed.notify_all()
        for job in jobs:
            self.cancel(job)
        for thread in self._threads:
            thread.join(seconds)

    def _serve(self, device: str) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._waiting.pop(0)
                self._running.append(job)
            _run(job, device)
            with self._changed:
                self._running.remove(job)


def _run(job: Job, device: str) -> None:
    """Do a job; whatever happens in it ends the job, not the thread."""
    job.started, job.state = time.monotonic(), "running"
    try:
        if job.is_set():
            raise CancelledError("stopped, as was asked; nothing was written.")
        job.result = job.work(job, device)
    except CancelledError:
        _finish(job, "cancelled")
    except DecontextError as error:
        job.error = error
        _finish(job, "failed")
    except Exception as error:  # The last place where anything can be said of this job.
        job.error = DecontextError(f"unexpected error: {type(error).__name__}: {error}")
        _finish(job, "failed")
    else:
        _finish(job, "done")


def _finish(job: Job, state: State) -> None:
    job.seconds = time.monotonic() - job.started if job.started else 0.0
    job.state = state
    job._ended.set()
