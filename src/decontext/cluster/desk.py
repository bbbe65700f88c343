"""What the workers of a run know of each other: how often a photo was begun, how often an editor.

A small actor of Ray's that takes no processor. Without it a photo for which there is too little
memory would end one worker after the other for ever.
"""

from __future__ import annotations

from typing import Any


class Desk:
    """Counts; every method is one message of Ray's."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._saved: set[str] = set()
        self._loading = 0
        self._workers: dict[str, int] = {}
        self._results: frozenset[str] = frozenset()

    def know(self, results: frozenset[str]) -> None:
        """Take in the digests of what the place of the results held when the run began."""
        self._results = results

    def results(self) -> frozenset[str]:
        """Those digests."""
        return self._results

    def begin(self, name: str) -> int:
        """A photo is begun; returns how often that has happened without its end."""
        self._begun[name] = self._begun.get(name, 0) + 1
        return self._begun[name]

    def end(self, name: str, saved: bool) -> None:
        """A photo is done, and its result lies there or not."""
        self._begun.pop(name, None)
        if saved:
            self._saved.add(name)

    def was_here(self, name: str) -> bool:
        """Whether a worker of this run may have written the result of a photo.

        Where a worker dies, Ray gives the whole of its block to another one.
        """
        return name in self._begun or name in self._saved

    def load(self) -> int:
        """An editor is being loaded; returns how often that was begun since one was loaded."""
        self._loading += 1
        return self._loading

    def loaded(self, worker: str, process: int) -> None:
        """A worker has loaded its editor."""
        self._loading = 0
        self._workers[worker] = process

    def workers(self) -> dict[str, int]:
        """Names and processes of workers that ever loaded an editor, for tests that end some."""
        return dict(self._workers)


def open_desk(results: frozenset[str], *, name: str | None = None) -> Any:
    """A desk for a run, which knows these digests. It ends with the run's driver."""
    import ray

    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    if name is not None:
        options["name"] = name
    desk: Any = ray.remote(Desk).options(**options).remote()
    # Not to its constructor: Ray would keep that for a restart, and says that it cannot.
    desk.know.remote(results)
    return desk
