"""All commands, and one command line from its arguments to its exit code.

torch is imported only by commands that compute.
"""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from decontext import __version__
from decontext.cli import INTERRUPTED, STOPPED
from decontext.cli.analyze import analyze
from decontext.cli.app import app as page
from decontext.cli.cache import cache
from decontext.cli.demo import demo
from decontext.cli.doctor import doctor
from decontext.cli.edit import edit
from decontext.cli.editors import editors
from decontext.cli.evaluate import evaluate
from decontext.cli.help import Command, Group
from decontext.cli.options import ShowOptions, expand, flag
from decontext.cli.prepare import hide_log
from decontext.cli.protect import protect
from decontext.cli.report import report
from decontext.cli.terminal import Terminal
from decontext.cli.verify import verify
from decontext.errors import DecontextError, InputError

ABOUT = (
    "Protect photos of people against in-context image editors.\n\n"
    "An ordinary laptop runs 'decontext demo' in minutes: it shows the method with kontext-mini, a "
    "demonstration editor, and protects against no other.\n\n"
    "Protecting against flux-kontext or step1x-edit takes a large GPU, or hours: 'decontext "
    "doctor' says what this machine can do."
)

app = typer.Typer(
    name="decontext",
    cls=Group,
    help=ABOUT,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (protect, verify, edit, editors, evaluate, report, analyze, doctor, cache, demo, page)
"""In the order of `decontext --help`; a new command is a module here and an entry."""

for command in COMMANDS:
    app.command(cls=Command)(expand(command))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown, not raised."""
    terminal = Terminal(ShowOptions(as_json="--json" in arguments))
    try:
        check_arguments(arguments)
        code = app(args=list(arguments), prog_name="decontext", standalone_mode=False)
        sys.stdout.flush()
    except DecontextError as error:
        _trace(arguments)
        terminal.show_error(error.message, error.hint, code=error.exit_code)
        return error.exit_code
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"Try '{context.command_path} --help'." if context else ""
        terminal.show_error(error.format_message(), hint, code=error.exit_code)
        return error.exit_code
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            _trace(arguments)
            name = f"{error.filename}: " if error.filename else ""
            terminal.show_error(
                f"{name}the name is too long.", "Choose a shorter one.", code=InputError.exit_code
            )
            return InputError.exit_code
        # Writing to stdout fails with a number and without a name: the disk is full.
        if error.errno is None or error.filename is not None:
            return _show_unexpected(terminal, error, arguments)
        Terminal().show_error(f"the output cannot be written ({error.strerror}).", code=1)
        return 1
    except Exception as error:  # The last place where anything can be said to the user.
        return _show_unexpected(terminal, error, arguments)
    finally:
        hide_log()
    if code == INTERRUPTED:
        terminal.show_error(STOPPED, code=INTERRUPTED)
    return int(code or 0)


def check_arguments(arguments: Sequence[str]) -> None:
    """What no option and no file can be. Raises: InputError."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        cut_off = re.fullmatch(r"(--[a-z-]+)=", argument)
        if not argument or cut_off:
            option = cut_off[1] if cut_off else before
            name = option if option.startswith("-") else "an argument"
            raise InputError(
                f"{name} is empty; it must have a value.", "Give one, or leave it out."
            )
        if "\0" in argument:
            raise InputError(f"{argument!r} holds a zero byte; no name or text can.")


@app.callback(invoke_without_command=True)
def greet(
    context: typer.Context,
    version: Annotated[bool, flag("--version", "Show the version.", panel=None)] = False,
) -> None:
    """The command without a subcommand; its help is `ABOUT`."""
    if version:
        typer.echo(f"decontext {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _show_unexpected(terminal: Terminal, error: Exception, arguments: Sequence[str]) -> int:
    _trace(arguments)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    terminal.show_error(f"unexpected error: {reason}", "--debug shows where.", code=1)
    return 1


def _trace(arguments: Sequence[str]) -> None:
    """With --debug: the traceback of the error being handled, on stderr."""
    if "--debug" in arguments:
        traceback.print_exc()
