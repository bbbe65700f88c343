"""How options are made: each in a panel of the help, and records of them laid out for typer.

A command takes records of `options` as parameters; `expand` lays their fields out as the options
that typer reads, and hands the values back to the command as records.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, get_type_hints

import typer
from typer.models import OptionInfo

from decontext.errors import InputError

BASICS, METHOD, MACHINE, OUTPUT = PANELS = ("Basics", "Method", "Machine", "Output")
"""Of the help, in this order."""

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

    # typer keeps the line breaks of all paragraphs but the first.
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
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


def _check_count(name: str, value: int | None, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        raise InputError(f"{name} is {value}; it must be a whole number, {low} to {high}.")
    return value
