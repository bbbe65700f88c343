"""`decontext evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from decontext.cli.many import STDIN, RecursiveOption, read_inputs
from decontext.cli.options import (
    BASICS,
    METHOD,
    EditorOptions,
    MethodOptions,
    OneEditorOptions,
    SaveOptions,
    edit_steps_option,
    flag,
    option,
    output_option,
)
from decontext.cli.prepare import (
    open_editor,
    parse_overrides,
    read_settings,
    refuse_same,
    require_editor,
)
from decontext.cli.protocol import ProtocolOptions, evaluate_protocol
from decontext.cli.terminal import Terminal
from decontext.errors import InputError


def evaluate(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO..",
            help="A folder of original photos; or several, photos, - for a list on stdin.",
        ),
    ],
    output: Annotated[Path, output_option("Folder for the report.", metavar="FOLDER")],
    which: OneEditorOptions,
    method: MethodOptions,
    published: ProtocolOptions,
    show: SaveOptions,
    protect_with: Annotated[
        str | None,
        option(
            "--protect-with",
            "Protect against these editors in turn, with commas; A+B: against both at once.",
            panel=BASICS,
            metavar="NAMES",
            default="what --editor says",
        ),
    ] = None,
    edit_with: Annotated[
        str | None,
        option(
            "--edit-with",
            "Edit with this editor; --weights and the like are then its.",
            panel=BASICS,
            metavar="NAME",
            default="what --editor says",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        option(
            "--methods",
            "Objectives, with commas; NAME:robust too.",
            panel=BASICS,
            metavar="NAMES",
            default="what --objective says",
        ),
    ] = None,
    budgets: Annotated[
        str | None,
        option(
            "--budgets",
            "Written like --epsilon, with commas.",
            panel=BASICS,
            metavar="LIST",
            default="what --epsilon says",
        ),
    ] = None,
    transforms: Annotated[
        str | None,
        option(
            "--transforms",
            "Edited after these, with commas.",
            panel=METHOD,
            metavar="NAMES",
            default="none, jpeg-75, resize-0.5, jpeg-75+resize-0.5",
        ),
    ] = None,
    prompts: Annotated[
        int,
        option(
            "--prompts",
            "How many of the 12 instructions that nothing was optimised for.",
            panel=BASICS,
            metavar="N",
            default=4,
            between=(1, 12),
        ),
    ] = 4,
    seeds: Annotated[
        int,
        option(
            "--seeds",
            "Edits for each instruction.",
            panel=BASICS,
            metavar="N",
            default=1,
            between=(1, 1000),
        ),
    ] = 1,
    edit_steps: Annotated[int | None, edit_steps_option("--edit-steps", panel=METHOD)] = None,
    rendered: Annotated[
        bool, flag("--rendered", "The photos show rendered people.", panel=METHOD)
    ] = False,
    recursive: RecursiveOption = False,
) -> None:
    """Protect photos in several ways, edit all versions, and say who edits show.

    Started again, it continues where it was stopped.
    """
    terminal = Terminal(show)
    model, against = choose_editors(which, protect_with, edit_with)
    published.check()
    if published.protocol:
        overrides = parse_overrides(method)
        folder = the_folder(photos, recursive=recursive)
        task = published.task(folder, overrides, rendered=rendered, edit_steps=edit_steps)
        evaluate_protocol(terminal, task, output, model, published, force=show.force)
        return
    settings = read_settings(method)
    from decontext.evaluation.page import write_page
    from decontext.evaluation.plan import TRANSFORMS, Plan, build_protections, find_photos
    from decontext.evaluation.run import evaluate as run_evaluation
    from decontext.evaluation.run import load_instruments
    from decontext.evaluation.spreadsheet import write_spreadsheets
    from decontext.notation import parse_epsilon
    from decontext.prompts import HELD_OUT

    found = read_inputs(photos)
    refuse_same(found, output)
    sources = find_photos(found, recursive=recursive, without=output)
    plan = Plan(
        protections=build_protections(
            _split(methods) or [settings.objective],
            [parse_epsilon(text)[0] for text in _split(budgets)] or [settings.epsilon],
            settings=settings,
            against=against or ("",),
        ),
        transforms=tuple(_split(transforms)) or TRANSFORMS,
        prompts=HELD_OUT[:prompts],
        seeds=seeds,
        edit_steps=edit_steps,
        rendered=rendered,
    )
    instruments = load_instruments(plan)
    with terminal.progress("evaluating") as progress:
        chosen = open_editor(terminal, model, progress)
        rows = run_evaluation(
            sources,
            output,
            chosen,
            plan,
            instruments=instruments,
            force=show.force,
            on_progress=progress.show,
        )
    page = write_page(rows, output, sources)
    spreadsheets = write_spreadsheets(rows, output)
    failed = _show(terminal, rows, page, spreadsheets)
    if failed:
        raise typer.Exit(1)


def the_folder(photos: Sequence[str], *, recursive: bool) -> Path:
    """The folder of a published protocol's people. Raises: InputError: it is something else."""
    if len(photos) != 1 or photos[0] == STDIN or recursive:
        raise InputError(
            "--protocol takes one folder, with a folder for each person or a photo of each.",
            "Leave out --protocol, or give that folder without --recursive.",
        )
    return Path(photos[0])


def choose_editors(
    which: OneEditorOptions, protect_with: str | None, edit_with: str | None
) -> tuple[EditorOptions, list[str]]:
    """The editor that edits, and those that are protected against; none: the same.

    Raises:
        InputError: none was chosen, or several are to edit.
    """
    model = which.one(
        "evaluate",
        "--protect-with A+B protects against both at once, --edit-with says which one edits.",
    )
    against = _split(protect_with)
    if edit_with is not None:
        against = against or [model.editor or edit_with]
        model = replace(model, editor=edit_with)
    require_editor(model)
    return model, against


def _show(
    terminal: Terminal, rows: Sequence[Mapping[str, Any]], page: Path, spreadsheets: Sequence[Path]
) -> bool:
    """What was found, what there is to say of each photo, where it lies; whether one failed."""
    from decontext.evaluation.figures import Figures
    from decontext.evaluation.sentences import tell_findings
    from decontext.evaluation.tables import photo_table, short_table, to_dict

    figures = Figures([dict(row) for row in rows])
    if figures.is_transfer:
        terminal.say(figures.title)
    for sentence in tell_findings(figures):
        terminal.say(sentence, style="bold")
    for name, _, status, notes in photo_table(figures)[1:]:
        if notes:
            terminal.say(f"{name}: {status}; {notes}")
    head, *body = short_table(figures)
    terminal.show_table(head, body)
    terminal.say(f"page: {page}", style="bold")
    terminal.say(f"for spreadsheets: {', '.join(map(str, spreadsheets))}")
    files = {"page": str(page), "spreadsheets": list(map(str, spreadsheets))}
    terminal.show_json({**files, **to_dict(figures)})
    return bool(figures.failed())


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
