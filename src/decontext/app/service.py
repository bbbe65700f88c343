"""What all visitors share: editors, the line of jobs, private folders; and what each has in hand.

Between `work` and `page` on the way of the data. Page and HTTP call the same functions here; it
knows nothing of Gradio.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from decontext.app.jobs import Job, Queue
from decontext.app.storage import Storage, Visit, open_storage, plain_name
from decontext.app.work import (
    Choice,
    Given,
    Limits,
    Protected,
    edit_both,
    gather,
    protect_photos,
    verify_photos,
)
from decontext.editors import Editor, EditorInfo
from decontext.errors import InputError
from decontext.machine import list_devices
from decontext.settings import FALLS, ProtectSettings

Load = Callable[[str], Editor]
"""An editor on a device."""

OTHERS_FILES = "this visit belongs to somebody else."


@dataclass(eq=False)
class Offer:
    """An editor that visitors may choose, and how it is loaded."""

    info: EditorInfo
    load: Load


@dataclass(eq=False)
class Desk:
    """What one visitor has in hand.

    Attributes:
        photos: what was dropped to be protected.
        taken: what was dropped to be verified, by the path of its upload.
        job: what was asked for last.
        protected: what the last run came to, of which `chosen` is shown.
    """

    visit: Visit
    photos: list[Given] = field(default_factory=list)
    taken: dict[str, Given] = field(default_factory=dict)
    job: Job | None = None
    protected: Protected | None = None
    chosen: int = 0

    def forget(self, number: int, name: str) -> bool:
        """Take one photo off the list; False where another one is in its place by now."""
        there = 0 <= number < len(self.photos) and self.photos[number].name == name
        if there:
            self.photos = [*self.photos[:number], *self.photos[number + 1 :]]
        return there


class Editors:
    """The editors on offer; each device holds the one that was used last."""

    def __init__(self, offers: Sequence[Offer]) -> None:
        self.offers = {offer.info.name: offer for offer in offers}
        self._held: dict[str, tuple[str, Editor]] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        return list(self.offers)

    @property
    def only_demonstration(self) -> bool:
        """Whether there is no editor that anybody meets."""
        return all(offer.info.demonstration for offer in self.offers.values())

    def load(self, name: str, device: str) -> Editor:
        """An editor on a device, in the place of the one before. Raises: InputError."""
        if name not in self.offers:
            raise InputError(f"there is no editor {name!r} here.", f"Take {', '.join(self.names)}.")
        with self._lock:
            held = self._held.pop(device, None)
        if held is None or held[0] != name:
            del held
            gc.collect()
            held = (name, self.offers[name].load(device))
        with self._lock:
            self._held[device] = held
        return held[1]


class Service:
    """Made by `open_service`.

    Args:
        settings: what visitors do not choose, such as steps; the strength is theirs.
    """

    def __init__(
        self,
        storage: Storage,
        queue: Queue,
        editors: Editors,
        limits: Limits,
        settings: ProtectSettings,
    ) -> None:
        self.storage, self.queue, self.editors = storage, queue, editors
        self.limits, self.settings = limits, settings
        self._desks: dict[str, Desk] = {}
        self._lock = threading.Lock()

    def desk(self, key: str, owner: str = "") -> Desk:
        """What the visitor with this key has in hand. Raises: InputError: it is another's."""
        visit = self.storage.visit(key, owner)
        with self._lock:
            return self._desks.setdefault(key, Desk(visit))

    def take(self, desk: Desk, uploads: Sequence[tuple[str, str]]) -> list[Given]:
        """Take uploaded files, as (path, name), into the visitor's folder, and read what they are.

        Raises:
            InputError: nothing that can be taken.
        """
        files = []
        for path, name in uploads:
            name = plain_name(name)
            files.append((self.storage.claim(path, desk.visit, name), name))
        return gather(files, desk.visit, self.limits)

    def take_once(self, desk: Desk, path: str, name: str) -> Given:
        """Take one uploaded file; one that was taken before is there still, unlike its upload.

        Raises:
            InputError: nothing that can be taken.
        """
        found = desk.taken.get(path)
        if found is None:
            found = desk.taken[path] = self.take(desk, [(path, name)])[0]
        return found

    def protect(self, key: str, desk: Desk, given: Sequence[Given], choice: Choice) -> Job:
        """Put protecting these photos into the line. Raises: InputError."""
        if choice.editor not in self.editors.offers:
            raise InputError(f"there is no editor {choice.editor!r} here.", "Choose one.")
        if choice.strength not in FALLS:
            raise InputError(
                f"strength is {choice.strength!r}; it must be one of {', '.join(FALLS)}."
            )
        settings = replace(self.settings, strength=choice.strength)
        work = protect_photos(given, choice, desk.visit, self.limits, self.editors.load, settings)
        return self._submit(desk, Job(key, work, photos=len(given)))

    def edit_both(self, key: str, desk: Desk, instruction: str, seed: int = 0) -> Job:
        """Put editing photo and protected photo into the line. Raises: InputError."""
        text = " ".join(instruction.split())
        if not text:
            raise InputError("there is no instruction.", "Write one, such as: make them smile.")
        if len(text) > self.limits.letters:
            raise InputError(f"the instruction has more than {self.limits.letters} letters.")
        if desk.protected is None:
            raise InputError("no photo was protected yet.", "Protect one first.")
        outcome = desk.protected.outcomes[desk.chosen]
        work = edit_both(outcome, text, seed, desk.visit, self.editors.load, desk.protected.editor)
        return self._submit(desk, Job(key, work))

    def verify(self, key: str, desk: Desk, protected: Given, original: Given, editor: str) -> Job:
        """Put measuring a protected photo into the line. Raises: InputError."""
        if editor not in self.editors.offers:
            raise InputError(f"there is no editor {editor!r} here.", "Choose one.")
        work = verify_photos(protected, original, editor, self.limits, self.editors.load)
        return self._submit(desk, Job(key, work))

    def cancel(self, desk: Desk) -> None:
        """Stop what the visitor asked for last."""
        if desk.job is not None:
            self.queue.cancel(desk.job)

    def leave(self, key: str) -> None:
        """The visitor has gone: his jobs stop, and his files are removed once they have."""
        with self._lock:
            self._desks.pop(key, None)
        for job in self.queue.cancel_visit(key):
            job.wait(60)
        if self.storage.end(key):
            give_back_memory()

    def tidy(self) -> None:
        """End visits that are not used any more, and remove uploads that nobody asked for."""
        for key in self.storage.unused():
            with self._lock:
                desk = self._desks.get(key)
            if desk is None or desk.job is None or desk.job.ended:
                self.leave(key)
        self.storage.clear_uploads()

    def health(self) -> dict[str, Any]:
        """Plain values that say how the program is."""
        running, waiting = self.queue.count()
        return {
            "status": "ok",
            "editors": self.editors.names,
            "demonstration": self.editors.only_demonstration,
            "devices": list(self.queue.devices),
            "running": running,
            "waiting": waiting,
        }

    def _submit(self, desk: Desk, job: Job) -> Job:
        if desk.job is not None and not desk.job.ended:
            raise InputError("your last job is still running.", "Wait for it, or cancel it.")
        desk.job = self.queue.submit(job)
        return job


@contextmanager
def open_service(
    offers: Sequence[Offer],
    *,
    limits: Limits | None = None,
    settings: ProtectSettings | None = None,
    devices: Sequence[str] | None = None,
    parent: str | Path | None = None,
) -> Iterator[Service]:
    """A service; at the end its jobs are stopped and all files are removed.

    Args:
        devices: a job runs on each at a time; by default the GPUs that there are, or the CPU.
        parent: where the private folder is made, by default the system's for temporary files.
    """
    chosen = limits or Limits()
    found = devices or [device.name for device in list_devices()]
    used = [name for name in found if name != "cpu"] or ["cpu"]
    with open_storage(parent) as storage:
        queue = Queue(used, most=chosen.waiting)
        try:
            yield Service(storage, queue, Editors(offers), chosen, settings or ProtectSettings())
        finally:
            queue.close()


def give_back_memory() -> None:
    """Return to the system what was freed: a large photo leaves hundreds of megabytes behind."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass  # not on this system
