"""`decontext evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decontext.cli._options import (
    BlocksOption,
    DebugOption,
    DeviceOption,
    EditorOption,
    ForceOption,
    JsonOption,
    PrecisionOption,
    QuietOption,
    StepsOption,
    WeightsOption,
    open_editor,
    parse_overrides,
    require_editor,
)
from decontext.cli.terminal import Terminal
from decontext.errors import InputError


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Folder of original photos.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the report.", show_default=False)
    ],
    editor: EditorOption = None,
    methods: Annotated[
        str,
        typer.Option(
            "--methods", metavar="NAMES", help="Objectives, with commas; NAME:robust too."
        ),
    ] = "context-proportion",
    budgets: Annotated[
        str, typer.Option("--budgets", metavar="LIST", help="Written like --epsilon, with commas.")
    ] = "8/255",
    transforms: Annotated[
        str | None,
        typer.Option("--transforms", metavar="NAMES", help="Edited after these, with commas."),
    ] = None,
    prompts: Annotated[
        int, typer.Option("--prompts", help="How many of the held-out instructions.", min=1, max=12)
    ] = 4,
    seeds: Annotated[int, typer.Option("--seeds", help="Edits per instruction.", min=1)] = 1,
    steps: StepsOption = None,
    edit_steps: Annotated[
        int | None, typer.Option("--edit-steps", help="Denoising steps of an edit.", min=1)
    ] = None,
    blocks: BlocksOption = None,
    rendered: Annotated[
        bool, typer.Option("--rendered", help="The photos show rendered people.")
    ] = False,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Protect a folder of photos in several ways, edit all versions, and say who edits show.

    Started again, it continues where it was stopped.
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    require_editor(editor)
    from decontext.evaluation.figures import Figures
    from decontext.evaluation.page import write_page
    from decontext.evaluation.plan import TRANSFORMS, Plan, build_protections, find_photos
    from decontext.evaluation.run import evaluate as run_evaluation
    from decontext.evaluation.run import load_instruments
    from decontext.evaluation.spreadsheet import write_spreadsheets
    from decontext.prompts import HELD_OUT
    from decontext.settings import ProtectSettings, parse_epsilon

    photos = find_photos(folder)
    if output.is_dir() and output.samefile(folder):
        raise InputError("the report must lie in another folder than the photos.")
    settings = ProtectSettings(**parse_overrides(steps=steps, blocks=blocks))
    plan = Plan(
        protections=build_protections(
            _split(methods), [parse_epsilon(text)[0] for text in _split(budgets)], settings=settings
        ),
        transforms=tuple(_split(transforms)) if transforms else TRANSFORMS,
        prompts=HELD_OUT[:prompts],
        seeds=seeds,
        edit_steps=edit_steps,
        rendered=rendered,
    )
    instruments = load_instruments(plan)
    chosen = open_editor(terminal, editor, weights, device, precision)
    with terminal.progress("evaluating") as draw:
        rows = run_evaluation(
            photos,
            output,
            chosen,
            plan,
            instruments=instruments,
            force=force,
            on_progress=draw,
        )
    page = write_page(rows, output, photos)
    write_spreadsheets(rows, output)
    terminal.show_evaluation(rows, page)
    if Figures(rows).failed():
        raise typer.Exit(1)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
