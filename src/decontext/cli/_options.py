"""What the commands share: options, and from their values to editor and settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext.editors import list_editors
from decontext.errors import InputError
from decontext.terminal import Terminal

if TYPE_CHECKING:
    from decontext.editors import Editor
    from decontext.settings import ProtectSettings

EditorOption = Annotated[
    str | None, typer.Option("--editor", metavar="NAME", help="Which editor; see 'editors'.")
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FOLDER", help="Folder or hub id of the weights, if not the usual."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="'cpu' or 'cuda'; default: a GPU if there is one.")
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="Of the weights: 'float32' or 'bfloat16'.")
]
EpsilonOption = Annotated[
    str | None,
    typer.Option("--epsilon", help="Largest change of a colour: 8/255, or 8 (levels), or 0.03."),
]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Optimisation steps.")]
BlocksOption = Annotated[
    str | None,
    typer.Option("--blocks", help="Attention blocks: all, paper, auto, double:0-18, single:3, ..."),
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="What is optimised: context-proportion (default); others to compare with.",
    ),
]
RobustOption = Annotated[
    str | None,
    typer.Option(
        "--robust",
        metavar="LEVEL",
        help="What it is to outlast: off, jpeg, web (default: JPEG, reducing, cropping), strong.",
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Same seed, same result.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print errors and warnings only.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def require_editor(name: str | None) -> None:
    """No photo is ever protected against an editor that nobody chose."""
    if name is None:
        choices = "".join(f"\n  {info.name}: {info.title}" for info in list_editors())
        raise InputError(f"no editor was chosen; there are:{choices}", "Add --editor NAME.")


def open_editor(
    terminal: Terminal,
    name: str | None,
    weights: str | None,
    device: str | None,
    precision: str | None,
) -> Editor:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from decontext.editors import load_editor

    # Their remarks are meant for programmers, and --quiet means quiet.
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
    with terminal.progress(f"loading {name}"):
        editor = load_editor(str(name), source=weights, device=device, dtype=precision)
    if editor.info.demonstration:
        from decontext.report import DEMONSTRATION

        terminal.warn(DEMONSTRATION)
    return editor


def read_settings(config: Path | None, **given: Any) -> ProtectSettings:
    """Settings of an earlier report, or the defaults, changed by what was given."""
    from decontext.settings import ProtectSettings

    overrides = parse_overrides(**given)
    if config is None:
        return ProtectSettings(**overrides)
    from decontext.report import settings_from_report

    return replace(settings_from_report(config), **overrides)


def parse_overrides(**given: Any) -> dict[str, Any]:
    """What was given on the command line, as values of `ProtectSettings`."""
    from decontext.settings import parse_epsilon

    overrides = {name: value for name, value in given.items() if value is not None}
    for name in ("epsilon", "step_size"):
        if name in overrides:
            overrides[name], _ = parse_epsilon(overrides[name], name=name)
    return overrides
