"""One photo of a cluster's run: read, protected where that is still to do, written; never raised.

The photo is brought into a folder of the worker's own, protected there as everywhere, and the
files are carried to their place: first the report, then the photo. Whoever finds a photo finds its
report.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from decontext.cluster.stores import Place, exists, read, write
from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.errors import DecontextError
from decontext.folders.finding import Task
from decontext.folders.manifest import ALREADY, FAILED, FINAL, SAVED, Row
from decontext.folders.photo import (
    OnPart,
    Work,
    build_row,
    is_result,
    parse_report,
    protect_one,
    row_of_protected,
    row_of_report,
)

ATTEMPTS = 3
"""How often a photo is begun whose worker dies. One more than in a folder's run: on a cluster
workers also die of what no photo is to blame for."""


@dataclass(frozen=True)
class Job:
    """A photo on its way to a worker, and its row of an earlier run."""

    task: Task
    earlier: Row | None = None

    def to_json(self) -> str:
        """As text in ASCII, for names in no proper encoding."""
        return json.dumps({"task": asdict(self.task), "earlier": self.earlier})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(Task(**values["task"]), values["earlier"])


@dataclass(frozen=True)
class Fetched:
    """A photo's content, read while another one is protected; or why it cannot be read."""

    job: Job
    content: bytes | None
    reason: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the content; empty where there is none."""
        return "" if self.content is None else hashlib.sha256(self.content).hexdigest()


def fetch(job: Job) -> Fetched:
    """Read a photo."""
    try:
        return Fetched(job, read(job.task.source))
    except DecontextError as error:
        return Fetched(job, None, str(error))


def skip(fetched: Fetched, work: Work, place: Place, results: frozenset[str]) -> Row | None:
    """The row of a photo that needs no editor; None: protect it.

    A row of an earlier run comes back as it is. Raises: InputError: a place cannot be read.
    """
    task = replace(fetched.job.task, digest=fetched.digest)
    if fetched.content is None:
        return build_row(
            task, FAILED, message=fetched.reason or f"{_plain(task.source)} is not there."
        )
    if task.digest in results:
        return build_row(task, ALREADY, message="it is a result that lies in the output folder")
    protected = row_of_protected(task, parse_report(read(_report_of(task.source))))
    if protected is not None:
        return protected
    earlier = fetched.job.earlier
    if earlier is not None and _still_holds(earlier, task, place):
        return earlier
    return _take_over(task, work, place)


def protect_fetched(
    fetched: Fetched,
    editor: Editor | Crew,
    work: Work,
    place: Place,
    on_part: OnPart | None = None,
) -> Row:
    """Protect a photo and carry photo and report to their place."""
    job, content = fetched.job, fetched.content
    task = replace(job.task, digest=fetched.digest)
    target = place.file(task.name)
    with tempfile.TemporaryDirectory(prefix="decontext-") as name:
        folder = Path(name)
        source = folder / "in" / PurePosixPath(_plain(task.source)).name
        source.parent.mkdir()
        source.write_bytes(content or b"")
        here = replace(work, folder=folder / "out", take_over=False, force=False)
        try:
            if not work.force and exists(target):
                message = f"{_plain(target)} exists already. Overwrite it with --force."
                return build_row(task, FAILED, message=message)
            row = protect_one(replace(task, source=str(source)), editor, here, on_part)
            if row["status"] in SAVED:
                protected = here.folder / task.name
                report = protected.with_name(protected.name + ".json")
                write(_report_of(target), report.read_bytes())
                write(target, protected.read_bytes())
        except DecontextError as error:
            return build_row(task, FAILED, message=str(error))
    message = row["message"].replace(str(source), _plain(task.source))
    return row | {"source": task.source, "message": message}


def too_often(job: Job, tries: int) -> Row:
    """The row of a photo during which workers die."""
    message = f"its worker ended {tries} times; there may be too little memory for this photo."
    return build_row(job.task, FAILED, message=message)


def _take_over(task: Task, work: Work, place: Place) -> Row | None:
    """The row of a result that an earlier part of this run finished and nobody wrote down."""
    if not work.take_over:
        return None
    target = place.file(task.name)
    report = parse_report(read(_report_of(target)))
    if report is None or not is_result(report, task.digest, work):
        return None
    content = read(target)
    if content is None or _hash(content) != report["files"]["protected"]["sha256"]:
        return None
    return row_of_report(task, report, began=time.monotonic())


def _still_holds(row: Row, task: Task, place: Place) -> bool:
    """Whether a row of an earlier run is of this very photo, and its result lies there."""
    if row["original_sha256"] != task.digest or row["status"] not in FINAL:
        return False
    if row["status"] not in SAVED:
        return True
    content = read(place.file(row["name"]))
    return content is not None and _hash(content) == row["protected_sha256"]


def _report_of(name: str) -> str:
    plain, separator, query = name.partition("?")
    return f"{plain}.json{separator}{query}" if "://" in name else f"{name}.json"


def _plain(name: str) -> str:
    """A name without the options of its store."""
    return name.partition("?")[0] if "://" in name else name


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
