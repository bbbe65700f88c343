"""`decontext edit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext.cli.many import RecursiveOption, is_one_photo, read_inputs, refuse_recursive
from decontext.cli.options import (
    BASICS,
    METHOD,
    AmongOptions,
    EditorOptions,
    OneEditorOptions,
    SaveOptions,
    SeedOption,
    edit_steps_option,
    option,
    output_option,
)
from decontext.cli.prepare import join, open_editor, read_company, refuse_company, require_editor
from decontext.cli.terminal import Terminal, one_line
from decontext.errors import DecontextError, InputError

if TYPE_CHECKING:
    from decontext.folders.finding import Task


def edit(
    photo: Annotated[
        str,
        typer.Argument(
            metavar="PHOTO", help="The photo; or a folder, - for a list of photos on stdin."
        ),
    ],
    instruction: Annotated[str, typer.Argument(metavar="INSTRUCTION", help="What to edit.")],
    output: Annotated[
        Path, output_option("The edited picture; a folder for several.", metavar="FILE")
    ],
    which: OneEditorOptions,
    company: AmongOptions,
    show: SaveOptions,
    steps: Annotated[int | None, edit_steps_option("--steps", panel=BASICS)] = None,
    seed: SeedOption = None,
    cut_context: Annotated[
        str | None,
        option(
            "--cut-context",
            "Hide the photo from the picture in these attention blocks: all, single:3, ...",
            panel=METHOD,
            metavar="BLOCKS",
            default="none",
        ),
    ] = None,
    recursive: RecursiveOption = False,
) -> int:
    """Edit a photo as anyone would, to see what an editor makes of it.

    Of several photos the edits go into a folder, with their names and sub-folders; those that lie
    there already are left as they are. Exit code 1 where one failed.
    """
    terminal = Terminal(show)
    require_editor(which)
    model = which.one("edit")
    if not instruction.strip():
        raise InputError("the instruction is empty; it must say what to edit.", "Try 'smile'.")
    from decontext.edit import check_edit_output
    from decontext.edit import edit as edit_photo
    from decontext.photo.images import load_photo

    options: dict[str, Any] = {"seed": seed or 0, "steps": steps, "cut_context": cut_context}
    if not is_one_photo([photo]):
        refuse_company(company)
        tasks = find_edits([photo], output, recursive=recursive)
        return edit_many(terminal, tasks, output, instruction, model, show, options)
    refuse_recursive(recursive)
    source = load_photo(Path(photo))
    others = read_company(company)
    given = [Path(photo), *(company.among or [])]
    check_edit_output(output, inputs=given, force=show.force)
    with terminal.progress("editing") as progress:
        chosen = join(open_editor(terminal, model, progress), others)
        edited = edit_photo(
            source,
            instruction,
            chosen,
            **options,
            on_step=lambda done, total: progress.show(done, total, f"step {done} of {total}"),
        )
    edited.save(output, force=show.force)
    width, height = edited.shape[-1], edited.shape[-2]
    terminal.say(f"{output}: {width} x {height} pixels, by {chosen.info.name}")
    terminal.show_json(
        {
            "output": str(output),
            "size": [width, height],
            "instruction": instruction,
            "editor": chosen.info.name,
            "seed": seed or 0,
            "cut_context": cut_context,
        }
    )
    return 0


def find_edits(inputs: Sequence[str], output: Path, *, recursive: bool) -> tuple[Task, ...]:
    """The photos to edit; a list is read from stdin in the place of `-`."""
    from decontext.folders.finding import find_tasks

    return find_tasks(read_inputs(inputs), output, recursive=recursive)


def edit_many(
    terminal: Terminal,
    tasks: Sequence[Task],
    output: Path,
    instruction: str,
    model: EditorOptions,
    show: SaveOptions,
    options: dict[str, Any],
) -> int:
    """Edit many photos into a folder; 1 where one of them failed."""
    from decontext.folders.verbs import edit_tasks

    with terminal.progress("editing") as progress:
        chosen = open_editor(terminal, model, progress)

        def tell(number: int, done: int, total: int) -> None:
            progress.show(number + done / total, len(tasks), f"photo {number + 1} of {len(tasks)}")

        edits = edit_tasks(
            tasks, output, instruction, chosen, force=show.force, on_part=tell, **options
        )
        found = list(edits)
    counts: Counter[str] = Counter()
    values = []
    for task, outcome in found:
        failed = isinstance(outcome, DecontextError)
        status = "failed" if failed else "left as it was" if outcome is None else "edited"
        counts[status] += 1
        said = str(outcome) if failed else ""
        values.append({"name": task.name, "status": status, "message": said})
        if status != "edited":
            terminal.say(one_line(f"{task.name}: {status}{'; ' if said else ''}{said}"))
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    terminal.say(f"{len(found)} photos: {said}, by {chosen.info.name} in {output}", style="bold")
    terminal.show_json(
        {
            "output": str(output),
            "instruction": instruction,
            "editor": chosen.info.name,
            "counts": dict(counts),
            "photos": values,
        }
    )
    return 1 if counts["failed"] else 0
