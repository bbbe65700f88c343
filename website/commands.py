"""The reference of the command line, read from the commands themselves."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import typer.main

from decontext.cli.commands import app


def page() -> str:
    """The page in Markdown: each command, its arguments, its options by their groups."""
    lines = [
        "# Command line reference",
        "",
        "Made from the commands; [the command line, explained](../command-line.md) says more.",
        "",
    ]
    group: Any = typer.main.get_command(app)
    for name in sorted(group.commands):
        lines += [f"## decontext {name}", "", *_command(group.commands[name])]
    return "\n".join(lines)


def _command(command: Any) -> list[str]:
    lines = [_text(command.help or ""), ""]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    if arguments:
        lines += ["| argument | what it is |", "|---|---|"]
        lines += [f"| `{(one.metavar or one.name)}` | {_cell(one.help)} |" for one in arguments]
        lines.append("")
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    for panel, ones in groupby(options, key=lambda one: getattr(one, "rich_help_panel", None)):
        lines += [
            f"**{panel or 'Other'}**",
            "",
            "| option | what it does | default |",
            "|---|---|---|",
        ]
        lines += [_option(one) for one in ones]
        lines.append("")
    return lines


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    # `cli.declare.option` puts the default at the end of the help.
    words, _, default = (option.help or "").partition(" Default: ")
    return f"| {names} | {_cell(words)} | {_cell(default.removesuffix('.'))} |"


def _text(text: str) -> str:
    return text.replace("\b", "").replace("\f", "").strip()


def _cell(value: object) -> str:
    return " ".join(str(value or "").split()).replace("|", "\\|").replace("<", "&lt;")
