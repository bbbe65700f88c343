"""What the commands share: options, and from their values to editor and settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext.cli.terminal import Terminal
from decontext.editors import list_editors
from decontext.errors import InputError

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
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Of the weights: auto, fp32, bf16; for flux-kontext also int8, fp8, nf4.",
    ),
]
StreamOption = Annotated[
    bool,
    typer.Option("--stream-weights", help="Hold one block at a time on the device; exact, slower."),
]
PartsOption = Annotated[
    str | None,
    typer.Option(
        "--parts",
        metavar="FOLDER",
        help="Where the rest comes from when --weights is a single file.",
    ),
]
WorkingSizeOption = Annotated[
    str | None,
    typer.Option(
        "--working-size",
        metavar="SIZES",
        help="How the editor sees the photo: ordinary, 512, or several with commas.",
    ),
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
    **options: Any,
) -> Editor:
    """Load an editor; `options` are its own, those that were not given are left out."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from decontext.editors import load_editor

    # Their remarks are meant for programmers, and --quiet means quiet.
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
    show_log(terminal)
    given = {option: value for option, value in options.items() if value}
    with terminal.progress(f"loading {name}"):
        editor = load_editor(str(name), source=weights, device=device, dtype=precision, **given)
    if editor.info.demonstration:
        from decontext.report import DEMONSTRATION

        terminal.warn(DEMONSTRATION)
    return editor


def show_log(terminal: Terminal) -> None:
    """What the library says while it works: downloads always, the rest unless --quiet."""
    import logging

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            show = terminal.warn if record.levelno >= logging.WARNING else terminal.note
            show(record.getMessage())

    logger = logging.getLogger("decontext")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [Shown()]


def hide_log() -> None:
    """Leave the library's log as it was, for whoever runs commands inside a program of theirs."""
    import logging

    logger = logging.getLogger("decontext")
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
    logger.handlers = []


def read_settings(config: Path | None, preset: str | None = None, **given: Any) -> ProtectSettings:
    """Settings of an earlier report or a preset, or the defaults, changed by what was given."""
    from decontext.settings import ProtectSettings

    overrides = parse_overrides(**given)
    if config is not None and preset is not None:
        raise InputError("--config and --preset both name settings; give one of them.")
    if preset is not None:
        return ProtectSettings.from_preset(preset, **overrides)
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
