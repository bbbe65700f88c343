"""`decontext protect --engine ray`: the photos of folders and stores, on a Ray cluster."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.cli.folder_progress import FolderProgress
from decontext.cli.many import (
    ManyOptions,
    choose_editor,
    show_rows,
    warn_of_demonstration,
    write_summary_of,
)
from decontext.cli.options import EditorsOptions, ProtectOptions, SaveOptions
from decontext.cli.prepare import read_settings
from decontext.cli.terminal import Terminal
from decontext.errors import InputError

if TYPE_CHECKING:
    from decontext.cluster.stores import Place
    from decontext.folders.manifest import Row
    from decontext.folders.photo import Work


def protect_by_ray(
    terminal: Terminal,
    inputs: Sequence[str],
    output: Path,
    model: EditorsOptions,
    method: ProtectOptions,
    show: SaveOptions,
    many: ManyOptions,
) -> int:
    """Protect photos into a place; 1 where one of them is not protected at the end."""
    if many.dry_run:
        raise InputError(
            "--dry-run measures a step on this machine, and the cluster is another.",
            "Leave --engine out, with a folder of some of the photos.",
        )
    from decontext.cluster.finding import find_photos
    from decontext.cluster.run import Cluster, protect_on_cluster
    from decontext.cluster.stores import Place
    from decontext.folders.photo import Work

    place = Place.of(name_place(output))
    tasks = find_photos(inputs, place, recursive=many.recursive)
    work = Work(
        editor=choose_editor(model),
        settings=read_settings(method),
        folder=Path(place.root),
        force=show.force,
        accept_weak=method.accept_weak,
        metadata=method.metadata,
        threads=many.threads or 1,
    )
    warn_of_demonstration(terminal, work)
    with FolderProgress(terminal, len(tasks)) as progress:
        run = protect_on_cluster(
            tasks,
            work,
            place,
            cluster=Cluster(address=many.address, workers=many.jobs),
            on_progress=progress.draw,
        )
        # Ray prints what happens to workers, on stdout, where results go.
        with closing(run), redirect_stdout(sys.stderr):
            rows = list(run)
    return show_rows(terminal, rows, place.root, lambda: write_page(rows, work, place))


def write_page(rows: Sequence[Row], work: Work, place: Place) -> Path | str:
    """Page, table and contact sheets in the place of the results. Raises: InputError."""
    if place.is_local:
        return write_summary_of(rows, work)
    from decontext.cluster.stores import read, write

    with tempfile.TemporaryDirectory(prefix="decontext-") as folder:
        here = replace(work, folder=Path(folder))
        found = write_summary_of(rows, here, lambda name: io.BytesIO(read(place.file(name)) or b""))
        for path in Path(folder).iterdir():
            write(place.file(path.name), path.read_bytes())
        return place.file(found.name)


def name_place(output: Path) -> str:
    """What was typed: a path makes one slash of the two in `s3://bucket/photos`."""
    return re.sub(r"^([a-z][a-z0-9+]+):/(?=[^/])", r"\1://", str(output))
