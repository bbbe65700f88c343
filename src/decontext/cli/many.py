"""`decontext protect` for folders, several photos and lists, and what these are told besides."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from decontext.cli.options import (
    BASICS,
    MACHINE,
    OUTPUT,
    AddressOption,
    EditorOptions,
    EditorsOptions,
    ProtectOptions,
    SaveOptions,
    flag,
    option,
)
from decontext.cli.prepare import open_editors, read_settings
from decontext.cli.terminal import Terminal, one_line
from decontext.errors import InputError

if TYPE_CHECKING:
    from decontext.editors import Editor
    from decontext.editors.several import Crew
    from decontext.folders.finding import Task
    from decontext.folders.manifest import Row
    from decontext.folders.photo import CrewChoice, EditorChoice, Work
    from decontext.folders.summary import Find

STDIN = "-"
ENGINES = ("ray",)

RecursiveOption = Annotated[
    bool, option("--recursive", "Look into sub-folders too.", panel=BASICS, short=("-r",))
]


@dataclass(frozen=True, kw_only=True)
class ManyOptions:
    """How a run over many photos is spread; for a single photo there is nothing to say."""

    recursive: RecursiveOption = False
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            "Processes side by side, each with an editor of its own.",
            panel=MACHINE,
            metavar="N",
            default="1, or one a device",
            between=(1, 1024),
        ),
    ] = None
    devices: Annotated[
        str | None,
        option(
            "--devices",
            "Spread the processes over these: cuda:0,cuda:1.",
            panel=MACHINE,
            metavar="NAMES",
            default="as --device says",
        ),
    ] = None
    threads: Annotated[
        int | None,
        option(
            "--threads",
            "Of each process, with --jobs or --devices.",
            panel=MACHINE,
            metavar="N",
            default=1,
            between=(1, 1024),
        ),
    ] = None
    engine: Annotated[
        str | None,
        option(
            "--engine",
            "Spread the photos by this: ray.",
            panel=MACHINE,
            metavar="NAME",
            choices=ENGINES,
            default="processes of this machine",
        ),
    ] = None
    address: AddressOption = None
    dry_run: Annotated[
        bool,
        flag("--dry-run", "Say what would be done and how long, by one step.", panel=OUTPUT),
    ] = False


def is_one_photo(inputs: Sequence[str]) -> bool:
    """Whether this is a single file, with which nothing of a folder is needed."""
    return len(inputs) == 1 and inputs[0] != STDIN and not Path(inputs[0]).is_dir()


def check_engine(inputs: Sequence[str], many: ManyOptions) -> None:
    """What belongs to the engine comes with it. Raises: InputError."""
    if many.engine not in (None, *ENGINES):
        raise InputError(f"--engine is {many.engine!r}; it must be one of {', '.join(ENGINES)}.")
    if many.engine is None and many.address is not None:
        raise InputError("--address names a Ray cluster.", "Add --engine ray.")
    if many.engine is not None and many.devices is not None:
        raise InputError("with --engine ray it is Ray that gives out devices.", "Use --jobs.")
    for name in inputs:
        if many.engine is None and "://" in name and not Path(name).exists():
            raise InputError(f"{name} lies in a store.", "Add --engine ray, which reads them.")


def refuse_for_one(many: ManyOptions) -> None:
    """Options of folders say nothing of a single photo. Raises: InputError."""
    for name, value in asdict(many).items():
        if value:
            raise InputError(
                f"--{name.replace('_', '-')} is for folders and several photos; this is one.",
                "Leave it out.",
            )


def refuse_recursive(recursive: bool) -> None:
    """`--recursive` says nothing of a single photo. Raises: InputError."""
    refuse_for_one(ManyOptions(recursive=recursive))


def read_inputs(inputs: Sequence[str]) -> list[str]:
    """The paths that are named, those of the list on stdin in the place of `-`."""
    from decontext.folders.finding import split_list

    found: list[str] = []
    for path in inputs:
        found += split_list(sys.stdin.buffer.read()) if path == STDIN else [path]
    return found


def protect_many(
    terminal: Terminal,
    inputs: Sequence[str],
    output: Path | None,
    model: EditorsOptions,
    method: ProtectOptions,
    show: SaveOptions,
    many: ManyOptions,
) -> int:
    """Protect many photos into a folder; 1 where one of them is not protected at the end."""
    what = f"{inputs[0]} is a folder; its photos" if len(inputs) == 1 else "several photos"
    if inputs == [STDIN]:
        what = "the photos of a list"
    if output is None:
        raise InputError(f"{what} need a folder for the results.", "Add -o FOLDER.")
    if many.engine is not None:
        from decontext.cli.cluster import protect_by_ray

        return protect_by_ray(terminal, read_inputs(inputs), output, model, method, show, many)
    from decontext.folders.finding import find_tasks
    from decontext.folders.photo import Work

    settings = read_settings(method)
    tasks = find_tasks(read_inputs(inputs), output, recursive=many.recursive)
    work = Work(
        editor=choose_editor(model),
        settings=settings,
        folder=output,
        force=show.force,
        accept_weak=method.accept_weak,
        metadata=method.metadata,
        threads=many.threads or 1,
    )
    if many.dry_run:
        return _show_forecast(terminal, tasks, work, model, many)
    rows = _run(terminal, tasks, work, model, many)
    return show_rows(terminal, rows, output, lambda: write_summary_of(rows, work))


def choose_editor(model: EditorsOptions) -> EditorChoice | CrewChoice:
    """The options of the editor, or of several, for other processes to load them by."""
    from decontext.folders.photo import CrewChoice

    choices = [choose_one(one) for one in model.each()]
    return choices[0] if len(choices) == 1 else CrewChoice(tuple(choices))


def choose_one(model: EditorOptions) -> EditorChoice:
    """The same of a single one."""
    from decontext.folders.photo import EditorChoice

    own = {"parts": model.parts, "stream_weights": model.stream_weights}
    return EditorChoice(
        str(model.editor),
        source=model.weights,
        device=model.device,
        dtype=model.precision,
        options={name: value for name, value in own.items() if value},
    )


def _run(
    terminal: Terminal, tasks: Sequence[Task], work: Work, model: EditorsOptions, many: ManyOptions
) -> list[Row]:
    from decontext.cli.folder_progress import FolderProgress
    from decontext.folders.run import protect_folder, spread

    devices = spread(many.jobs, split_names(many.devices))
    here = len(devices) == 1 and not many.devices
    if not here:
        warn_of_demonstration(terminal, work)
    with FolderProgress(terminal, len(tasks)) as progress:
        run = protect_folder(
            tasks,
            work,
            load=(lambda: _open_editors(terminal, model)) if here else None,
            devices=devices,
            on_progress=progress.draw,
        )
        with closing(run):
            return list(run)


def warn_of_demonstration(terminal: Terminal, work: Work) -> None:
    """Say that an editor protects against no other, before other processes load it."""
    from decontext.report import DEMONSTRATION

    if is_demonstration(work.editor.name):
        terminal.warn(DEMONSTRATION)


def is_demonstration(editors: str) -> bool:
    """Whether none of these editors, with `+` between them, is one that anybody meets."""
    from decontext.editors import list_editors
    from decontext.editors.several import TOGETHER

    known = {info.name: info.demonstration for info in list_editors()}
    return all(known.get(name, False) for name in editors.split(TOGETHER))


def write_summary_of(rows: Sequence[Row], work: Work, find: Find | None = None) -> Path:
    """Page, table and contact sheets of a run, in its folder; returns the page."""
    from decontext.folders.summary import write_summary

    name = work.editor.name
    return write_summary(
        rows, work.folder, editor=name, demonstration=is_demonstration(name), find=find
    )


def show_rows(
    terminal: Terminal,
    rows: Sequence[Row],
    output: Path | str,
    write_page: Callable[[], Path | str],
) -> int:
    """What became of the photos, also where their page cannot be written; the exit code."""
    from decontext.folders.manifest import ALREADY, FAILED, NOT_PROTECTED
    from decontext.folders.run import count_statuses

    page, missing = None, ""
    try:
        page = str(write_page())
    except InputError as error:
        missing = f"the page is missing: {error}"
    for row in rows:
        if row["status"] in (FAILED, NOT_PROTECTED, ALREADY):
            terminal.say(one_line(f"{row['name']}: {row['status']}; {row['message']}"))
    counts = count_statuses(rows)
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    terminal.say(f"{len(rows)} photos: {said}", style="bold")
    if page is not None:
        terminal.say(f"page: {page}", style="bold")
    else:
        terminal.warn(missing)
    terminal.show_json(
        {"output": str(output), "page": page, "counts": counts, "photos": list(rows)}
    )
    return 1 if missing or {FAILED, NOT_PROTECTED} & set(counts) else 0


def _show_forecast(
    terminal: Terminal, tasks: Sequence[Task], work: Work, model: EditorsOptions, many: ManyOptions
) -> int:
    from decontext.folders.forecast import forecast
    from decontext.folders.run import spread
    from decontext.machine import describe_seconds

    jobs = len(spread(many.jobs, split_names(many.devices)))
    found = forecast(tasks, work, _open_editors(terminal, model), jobs=jobs)
    terminal.say(
        f"{found.waiting} photos to protect, {found.finished} done by an earlier run, "
        f"{len(found.already)} protected already, {len(found.unreadable)} that cannot be read",
        style="bold",
    )
    for status, names in (
        ("protected already", found.already),
        ("cannot be read", found.unreadable),
    ):
        for name in names:
            terminal.say(one_line(f"{name}: {status}"))
    if found.step_seconds is not None:
        terminal.say(
            f"estimate: about {describe_seconds(found.seconds)} with {jobs} at a time; one step "
            f"took {found.step_seconds:.2f} s, measured on {one_line(found.measured)}"
        )
    values: dict[str, Any] = {"output": str(work.folder), "jobs": jobs, **asdict(found)}
    terminal.show_json(values)
    return 0


def _open_editors(terminal: Terminal, model: EditorsOptions) -> Editor | Crew:
    with terminal.progress("loading") as progress:
        editors = open_editors(terminal, model, progress)
        return editors.editors[0] if len(editors) == 1 else editors


def split_names(text: str | None) -> list[str]:
    """Names with commas between them."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
