"""The command line: it draws what the library yields and turns its errors into exit codes.

Last on the way of the data, and thin: every command loads, calls one function and shows what came
back. 0 is success, 1 "it failed" (or "not protected"), 2 "your input", 130 is Ctrl-C. torch is
imported only by commands that compute.
"""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from decontext import __version__
from decontext.cli._options import hide_log
from decontext.cli.analyze import analyze
from decontext.cli.cache import cache
from decontext.cli.demo import demo
from decontext.cli.doctor import doctor
from decontext.cli.edit import edit
from decontext.cli.editors import editors
from decontext.cli.evaluate import evaluate
from decontext.cli.protect import protect
from decontext.cli.terminal import Terminal
from decontext.cli.verify import verify
from decontext.errors import DecontextError

INTERRUPTED = 130

app = typer.Typer(
    name="decontext",
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS = (protect, verify, edit, editors, evaluate, analyze, doctor, cache, demo)
"""In the order of `decontext --help`; a new command is a module here and an entry."""

for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Entry point of the command `decontext`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped by a system: as by Ctrl-C
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # Meant for programmers; PYTHONWARNINGS brings them back.
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown, not raised."""
    terminal = Terminal(as_json="--json" in arguments)
    try:
        code = app(args=list(arguments), prog_name="decontext", standalone_mode=False)
    except DecontextError as error:
        _trace(arguments)
        terminal.show_error(error.message, error.hint, code=error.exit_code)
        return error.exit_code
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"Try '{context.command_path} --help'." if context else ""
        terminal.show_error(error.format_message(), hint, code=error.exit_code)
        return error.exit_code
    except Exception as error:  # The last place where anything can be said to the user.
        _trace(arguments)
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        terminal.show_error(f"unexpected error: {reason}", "--debug shows where.", code=1)
        return 1
    finally:
        hide_log()
    if code == INTERRUPTED:
        terminal.show_error("stopped; no unfinished file was left.", code=INTERRUPTED)
    return int(code or 0)


@app.callback(invoke_without_command=True)
def greet(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Protect photos of people against in-context image editors."""
    if version:
        typer.echo(f"decontext {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _trace(arguments: Sequence[str]) -> None:
    """With --debug: the traceback of the error being handled, on stderr."""
    if "--debug" in arguments:
        traceback.print_exc()
