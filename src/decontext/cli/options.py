"""What the commands can be told: one record of options each for what several commands share.

A command takes records as parameters; `expand` lays their fields out as the options that typer
reads, and hands the values back to the command as records. Help shows the options in `PANELS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from decontext.editors import editor_names
from decontext.errors import InputError
from decontext.settings import (
    LEVELS,
    MAXIMUM_SEED,
    PRESETS,
    ObjectiveName,
    ProtectSettings,
    RobustLevel,
)

BASICS, METHOD, MACHINE, OUTPUT = PANELS = ("Basics", "Method", "Machine", "Output")
DEFAULTS = ProtectSettings()
Returned = TypeVar("Returned")


def option(
    name: str,
    help: str,
    *,
    panel: str | None,
    default: object = None,
    choices: tuple[str, ...] = (),
    between: tuple[int, int] | None = None,
    **more: Any,
) -> Any:
    """An option of a panel; `default` is said in the help, `choices` are offered by the shell,
    `between` are the least and the largest number.

    What was not given is None, so that a report or a preset can say it.
    """
    # typer would show its own default of None, or ours in two pairs of brackets.
    more |= {"rich_help_panel": panel, "show_default": False}
    if between:
        more["callback"] = lambda value: _check_count(name, value, *between)
    if choices:
        more["autocompletion"] = lambda incomplete: [c for c in choices if c.startswith(incomplete)]
    said = help if default is None else f"{help} Default: {default}."
    return typer.Option(name, *more.pop("short", ()), help=said, **more)


def flag(name: str, help: str, *, panel: str | None) -> Any:
    """An option without a value."""
    return option(name, help, panel=panel)


def output_option(help: str, *, metavar: str, default: object = None) -> Any:
    """`--output`, which means something else in every command."""
    short = ("-o",)
    return option("--output", help, panel=BASICS, short=short, metavar=metavar, default=default)


def epsilon_option(default: float) -> Any:
    """`--epsilon`, with the default of a command."""
    return option(
        "--epsilon",
        "Largest change of a colour: 8/255, or 8 (levels), or 0.03.",
        panel=BASICS,
        metavar="E",
        default=f"{default * LEVELS:g}/{LEVELS}",
    )


def edit_steps_option(name: str, *, panel: str) -> Any:
    """How many denoising steps an edit has."""
    return option(
        name,
        "Denoising steps of an edit.",
        panel=panel,
        metavar="N",
        default="the editor's own",
        between=(1, 1000),
    )


def _check_count(name: str, value: int | None, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        raise InputError(f"{name} is {value}; it must be a whole number, {low} to {high}.")
    return value


EpsilonOption = Annotated[str | None, epsilon_option(DEFAULTS.epsilon)]
StepsOption = Annotated[
    int | None,
    option("--steps", "Optimisation steps.", panel=BASICS, metavar="N", default=DEFAULTS.steps),
]
SeedOption = Annotated[
    int | None,
    option(
        "--seed",
        "Same seed, same result.",
        panel=METHOD,
        metavar="N",
        default=DEFAULTS.seed,
        between=(0, MAXIMUM_SEED),
    ),
]


@dataclass(frozen=True, kw_only=True)
class EditorOptions:
    """Which editor, and how its weights are found and held."""

    editor: Annotated[
        str | None,
        option(
            "--editor",
            "Which editor, needed; see 'decontext editors'.",
            panel=BASICS,
            metavar="NAME",
            choices=editor_names(),
        ),
    ] = None
    weights: Annotated[
        str | None,
        option(
            "--weights",
            "Folder or hub id of the weights.",
            panel=MACHINE,
            metavar="FOLDER",
            default="the editor's own",
        ),
    ] = None
    parts: Annotated[
        str | None,
        option(
            "--parts",
            "Where the rest comes from when --weights is a single file.",
            panel=MACHINE,
            metavar="FOLDER",
            default="the file's folder, or the hub",
        ),
    ] = None
    device: Annotated[
        str | None,
        option(
            "--device",
            "cpu or cuda.",
            panel=MACHINE,
            metavar="NAME",
            default="a GPU if there is one",
            choices=("cpu", "cuda"),
        ),
    ] = None
    precision: Annotated[
        str | None,
        option(
            "--precision",
            "Of the weights: auto, fp32, bf16; for flux-kontext also int8, fp8, nf4.",
            panel=MACHINE,
            metavar="NAME",
            default="what suits the device",
            choices=("auto", "fp32", "bf16", "int8", "fp8", "nf4"),
        ),
    ] = None
    stream_weights: Annotated[
        bool,
        flag(
            "--stream-weights",
            "Hold one block at a time on the device; exact, slower.",
            panel=MACHINE,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """How strongly and how long; the same seed gives the same result."""

    epsilon: EpsilonOption = None
    steps: StepsOption = None
    seed: SeedOption = None


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What of the editor is measured."""

    blocks: Annotated[
        str | None,
        option(
            "--blocks",
            "Attention blocks: all, paper, double:0-18, single:3, ...; protecting also auto.",
            panel=METHOD,
            metavar="NAMES",
            default=DEFAULTS.blocks,
            choices=("all", "paper", "auto", "double", "single"),
        ),
    ] = None
    working_size: Annotated[
        str | None,
        option(
            "--working-size",
            "How the editor sees the photo: ordinary, 512, or several with commas.",
            panel=METHOD,
            metavar="SIZES",
            default=DEFAULTS.working_size,
            choices=("ordinary", "512", "ordinary,512"),
        ),
    ] = None
    seed: SeedOption = None


@dataclass(frozen=True, kw_only=True)
class MethodOptions(MeasureOptions, BudgetOptions):
    """Everything that a photo is protected with: the fields are those of `ProtectSettings`."""

    preset: Annotated[
        str | None,
        option(
            "--preset",
            f"Settings by name: {', '.join(PRESETS)}; other options count more.",
            panel=BASICS,
            metavar="NAME",
            default="none",
            choices=tuple(PRESETS),
        ),
    ] = None
    robust: Annotated[
        str | None,
        option(
            "--robust",
            "What it is to outlast: off; jpeg; web, which is JPEG, reducing, cropping; strong.",
            panel=BASICS,
            metavar="LEVEL",
            default=DEFAULTS.robust,
            choices=get_args(RobustLevel),
        ),
    ] = None
    config: Annotated[
        Path | None,
        option(
            "--config",
            "Take the settings of an earlier report; other options count more.",
            panel=METHOD,
            metavar="REPORT",
            default="none",
        ),
    ] = None
    objective: Annotated[
        str | None,
        option(
            "--objective",
            "What is optimised; all but the default are there to compare with.",
            panel=METHOD,
            metavar="NAME",
            default=DEFAULTS.objective,
            choices=get_args(ObjectiveName),
        ),
    ] = None
    step_size: Annotated[
        str | None,
        option(
            "--step-size",
            "Change in the first step, written like --epsilon.",
            panel=METHOD,
            metavar="E",
            default="as epsilon and the steps need",
        ),
    ] = None
    samples_per_step: Annotated[
        int | None,
        option(
            "--samples-per-step",
            "Instructions and noises that a step averages.",
            panel=METHOD,
            metavar="N",
            default=DEFAULTS.samples_per_step,
        ),
    ] = None
    refresh_text: Annotated[
        int | None,
        option(
            "--refresh-text",
            "Show the text encoder the changed photo every N steps, 0 is never (step1x-edit).",
            panel=METHOD,
            metavar="N",
            default=DEFAULTS.refresh_text,
        ),
    ] = None
    count_vlm_tokens: Annotated[
        bool,
        flag(
            "--count-vlm-tokens",
            "Also lower attention to the photo's text tokens (step1x-edit).",
            panel=METHOD,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What is shown."""

    as_json: Annotated[
        bool, flag("--json", "Print one JSON object, nothing else.", panel=OUTPUT)
    ] = False
    debug: Annotated[bool, flag("--debug", "Show the traceback of an error.", panel=OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class RunOptions(ShowOptions):
    """What is shown of a command that takes its time."""

    quiet: Annotated[bool, flag("--quiet", "Print errors and warnings only.", panel=OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class SaveOptions(RunOptions):
    """The same for one that writes files."""

    force: Annotated[bool, flag("--force", "Overwrite existing files.", panel=OUTPUT)] = False


def expand(command: Callable[..., Returned]) -> Callable[..., Returned]:
    """The command as typer reads it: each record among its parameters laid out as its fields."""
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in records:
            parameters += _parameters(records[name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=kind))
    # Help shows the panels in the order in which their first options come.
    parameters.sort(key=_panel)

    @wraps(command)
    def run(**values: Any) -> Returned:
        for parameter in parameters:
            _check_text(parameter.name, values.get(parameter.name))
        for name, record in records.items():
            values[name] = record(
                **{field.name: values.pop(field.name) for field in fields(record)}
            )
        return command(**values)

    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _check_text(name: str, value: Any) -> None:
    """Texts are UTF-8, also where the terminal is not; names of files may be anything."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{name.replace('_', ' ')} is {value!r}, which is not UTF-8; it must be.",
                "Type it again, in a terminal that is set to UTF-8.",
            ) from None


def _parameters(record: Any) -> Iterator[inspect.Parameter]:
    """One keyword for each field of a record."""
    hints = get_type_hints(record, include_extras=True)
    for field in fields(record):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default


def _panel(parameter: inspect.Parameter) -> int:
    """Where among the panels a parameter is shown; arguments come before all options."""
    for said in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(said, OptionInfo) and said.rich_help_panel in PANELS:
            return PANELS.index(said.rich_help_panel)
    return -1
