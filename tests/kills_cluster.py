"""Kills workers of a Ray cluster every few seconds, and compares with a run that nobody disturbed.

`python tests/kills_cluster.py --photos 200 --every 10` prints what came of it; a short one is a
test. Only workers that have loaded their editor are killed, one of them at a time.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from kills_many import leftovers, make_work, prepare, protect_all, read_results, read_statuses, tell

from decontext.cluster.finding import find_photos
from decontext.cluster.run import Cluster, protect_on_cluster
from decontext.cluster.stores import Place
from decontext.folders.manifest import NAME, SAVED, read_rows

DESK = "desk-of-the-kills"


class Killer(threading.Thread):
    """Ends one of the run's workers every so many seconds, until it is told to stop."""

    def __init__(self, *, every: float, log: Path, seed: int = 0) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.killed: list[int] = []
        self._every, self._random, self._stopped = every, random.Random(seed), threading.Event()

    def run(self) -> None:
        """Wait, kill, wait."""
        while not self._stopped.wait(self._every):
            alive = [process for process in _workers() if process not in self.killed]
            if alive:
                process = self._random.choice(alive)
                os.kill(process, signal.SIGKILL)
                self.killed.append(process)
                with self.log.open("a") as file:
                    file.write(f"{process}\n")

    def stop(self) -> None:
        """Kill no more."""
        self._stopped.set()
        self.join()


def _workers() -> list[int]:
    """Processes of this run's workers, by the desk at which each has said its number."""
    import ray

    # Asking before Ray runs would start one, beside that of the run.
    if not ray.is_initialized():
        return []
    try:
        known = ray.get(ray.get_actor(DESK).workers.remote(), timeout=5).values()
    except (ValueError, ray.exceptions.RayError):
        return []
    return [process for process in known if psutil.pid_exists(process)]


def count_lines(path: Path) -> int:
    """Of a file that may be missing: kills, those of earlier runs in the same folder included."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def main() -> int:
    """As many photos as asked; every worker may die at any time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--folder", type=Path, help="as of kills_many; its undisturbed run counts")
    parser.add_argument("--page", type=Path, help="write what came of it into this page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        editor, photos = prepare(folder, options.photos)
        whole = folder / "whole"
        protect_all(photos, make_work(editor, whole))
        place, work = Place.of(folder / "cluster"), make_work(editor, folder / "cluster")
        killer, began = (
            Killer(every=options.every, log=folder / "killed-workers.txt"),
            time.monotonic(),
        )
        killer.start()
        rows = []
        tasks = find_photos([str(photos)], place, recursive=True)
        cluster = Cluster(workers=2, desk=DESK)
        for row in protect_on_cluster(tasks, work, place, cluster=cluster):
            rows.append(row)
            if len(rows) == len(tasks):
                killer.stop()
            print(f"{len(rows)} done, {len(killer.killed)} killed", flush=True)
        expected, results = read_results(whole), read_results(place.path)
        _, written = read_rows([place.path / NAME])
        equal = sum(results.get(name) == content for name, content in expected.items())
        tell(
            options.page,
            "killed workers",
            {
                "run": "Ray, two workers",
                "photos": f"{options.photos}",
                "a worker killed": f"every {options.every:g} s, {count_lines(killer.log)} times",
                "the last run": f"{time.monotonic() - began:.0f} s",
                "rows": f"{len(rows)}, {len(written)} written",
                "not protected": f"{sum(row['status'] not in SAVED for row in rows)}",
                "files": f"{len(results)}",
                "equal": f"{equal}",
                "unfinished files left": f"{len(leftovers(place.path))}",
            },
        )
        same = read_statuses(whole) == read_statuses(place.path)
        return 0 if same and equal == len(expected) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
