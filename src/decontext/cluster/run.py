"""Protects many photos on a Ray cluster, as `folders.run` does on one machine: resumable, each row
in the manifest, one bad photo never costs the others.

Ray Data keeps the photos streaming: it holds a few blocks of names per worker, and neither pictures
nor results pass through this process.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from decontext.cluster import actor
from decontext.cluster.actor import ERROR, JOB, ROW, Protector
from decontext.cluster.desk import open_desk
from decontext.cluster.photo import Job
from decontext.cluster.records import Records
from decontext.cluster.stores import Place
from decontext.errors import DecontextError, InputError
from decontext.folders.finding import Task
from decontext.folders.manifest import NAME, Manifest, Row
from decontext.folders.photo import Work
from decontext.folders.run import OnProgress, Progress
from decontext.photo.files import clear_leftovers, make_folder
from decontext.photo.lock import hold_lock

STORE_BYTES = 256 * 2**20
"""Of Ray's object store where this process starts Ray; only names and rows pass through it."""


STARTS = 3
"""How often Ray is started here before that counts as failed."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which cluster, and how much of it.

    Attributes:
        address: of a running one, `auto` for that of this machine; None starts one here, without
            dashboard, which ends with the run.
        workers: actors side by side, each with an editor of its own; None is one a GPU, or one.
        desk: name of the actor that counts attempts, for others to find it.
    """

    address: str | None = None
    workers: int | None = None
    desk: str | None = None


def protect_on_cluster(
    tasks: Sequence[Task],
    work: Work,
    place: Place,
    *,
    cluster: Cluster | None = None,
    on_progress: OnProgress | None = None,
) -> Generator[Row, None, None]:
    """Protect photos into a place; yields the row of each as it is done, earlier ones included.

    Args:
        tasks: what `find_photos` found.
        work: how; its folder is not used, as the place says where to.
        place: where photos, reports and manifest go. A folder must be one that all workers see.
        cluster: where it is computed; by default on a cluster of its own on this machine.
        on_progress: called for every photo that is done.

    Raises:
        InputError: Ray is not installed or not reached, or the place was begun with other settings.
        EditorError: the editor's weights are missing or damaged.
        DecontextError: the workers end.
    """
    cluster, tell = cluster or Cluster(), on_progress or (lambda progress: None)
    with ExitStack() as stack:
        manifest, records = _open_manifest(stack, tasks, work, place)
        work = replace(work, take_over=manifest.is_continued)
        stack.enter_context(running_ray(cluster, threads=work.threads or 1))
        rows = _stream(tasks, work, place, manifest, cluster)
        for done, (row, earlier) in enumerate(rows, 1):
            if not earlier:
                manifest.add(row)
                if records is not None:
                    records.push()
            tell(Progress(row["name"], 1.0, row["status"], row, earlier, done, len(tasks)))
            yield row
        if records is not None:
            records.finish()


def _open_manifest(
    stack: ExitStack, tasks: Sequence[Task], work: Work, place: Place
) -> tuple[Manifest, Records | None]:
    """The manifest in the folder of results; for a store in one of this machine."""
    if place.is_local:
        make_folder(place.path)
        stack.enter_context(hold_lock(place.path / NAME))
        for parent in {(place.path / task.name).parent for task in tasks}:
            clear_leftovers(parent)
        return Manifest(place.path / NAME, work.heading(), force=work.force), None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="decontext-"))
    records = Records(place, Path(folder))
    return Manifest(records.path, work.heading(), force=work.force), records


@contextmanager
def running_ray(cluster: Cluster, *, threads: int) -> Iterator[None]:
    """Ray, started here, or joined; left alone where the program has done so itself.

    Raises:
        InputError: it is not installed, or cannot be reached.
        DecontextError: it does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError(
            "Ray is missing, which runs photos on a cluster.",
            "Run: pip install 'decontext[cluster]'",
        ) from None
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"address": cluster.address or "local"}
    if cluster.address is None:
        # Ray's workers give way to all else otherwise; here they are the work itself.
        os.environ.setdefault("RAY_worker_niceness", "0")
        count = max(os.cpu_count() or 1, (cluster.workers or 1) * threads)
        options |= {
            "num_cpus": count,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
    try:
        _start(options, tries=1 if cluster.address else STARTS)
    except Exception as error:  # Ray raises plain ones, where its processes do not come up in time.
        reason = str(error).split("\n")[0]
        if cluster.address is None:
            raise DecontextError(
                f"Ray does not start here ({reason}).", "Try again when the machine is less busy."
            ) from error
        raise InputError(
            f"there is no Ray cluster at {cluster.address} ({reason}).",
            "Start one with 'ray start --head', or leave --address out.",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def choose_workers(cluster: Cluster, device: str | None, most: int) -> tuple[int, bool]:
    """How many workers, at most so many, and whether each has a GPU; of a running Ray."""
    import ray

    gpus = ray.cluster_resources().get("GPU", 0.0)
    on_gpu = gpus >= 1 and not (device or "").startswith("cpu")
    return min(cluster.workers or (int(gpus) if on_gpu else 1), most), on_gpu


@contextmanager
def explained() -> Iterator[None]:
    """Raises: DecontextError: in the place of what Ray raises when it stops a run."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        reason = str(error).strip().split("\n")[-1]
        raise DecontextError(
            f"Ray stopped the run ({type(error).__name__}: {reason}).",
            "What is done is kept; the same command goes on.",
        ) from error


def _start(options: dict[str, Any], *, tries: int) -> None:
    """`ray.init`, more than once: its processes have half a minute, which a busy machine takes."""
    import ray

    for number in range(1, tries + 1):
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
            return
        except Exception:
            ray.shutdown()
            if number == tries:
                raise


def _stream(
    tasks: Sequence[Task], work: Work, place: Place, manifest: Manifest, cluster: Cluster
) -> Iterator[tuple[Row, bool]]:
    """Each photo's row, and whether it is one of an earlier run, in the order they are done."""
    import ray

    _be_quiet()
    last = {row["name"]: row for row in manifest.rows}
    workers, on_gpu = choose_workers(cluster, work.editor.device, len(tasks))
    jobs = [{JOB: Job(task, last.get(task.name)).to_json()} for task in tasks]
    rows = ray.data.from_items(
        jobs, override_num_blocks=actor.cut(jobs, workers=workers)
    ).map_batches(
        Protector,
        fn_constructor_kwargs={
            # The manifest keeps names as they were given; workers run in folders of their own.
            "work": replace(work, editor=work.editor.from_anywhere()),
            "place": place,
            "desk": open_desk(manifest.results, name=cluster.desk),
        },
        batch_size=None,
        concurrency=workers,
        num_cpus=work.threads or 1,
        num_gpus=1 if on_gpu else 0,
    )
    with explained():
        for values in rows.iter_rows():
            if values[ERROR]:
                actor.raise_error(values[ERROR])
            row = json.loads(values[ROW])
            yield row, last.get(row["name"]) == row


def _be_quiet() -> None:
    """Every row is a block of its own and leaves at once; Ray's own bars and remarks are off."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
