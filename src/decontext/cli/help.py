"""How `--help` is laid out, where typer has no word for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from decontext.cli.options import OUTPUT


class Command(TyperCommand):
    """A command whose `--help` stands in the last panel."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the command as help shows them."""
        return _without_types_of_flags(super().get_params(ctx), panel=OUTPUT)


class Group(TyperGroup):
    """The command without a subcommand."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the command as help shows them."""
        return _without_types_of_flags(super().get_params(ctx), panel=None)


def _without_types_of_flags(parameters: Sequence[Any], *, panel: str | None) -> list[Any]:
    """The same, where flags say no type, and what belongs to no panel belongs to this one."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption):
            parameter.rich_help_panel = parameter.rich_help_panel or panel
            if parameter.is_flag:
                parameter.metavar = ""
    return list(parameters)
