"""The command line: it draws what the library yields and turns its errors into exit codes.

Last on the way of the data, and thin: every command loads, calls one function and shows what came
back. 0 is success, 1 "it failed" (or "not protected"), 2 "your input", 130 is Ctrl-C. Here is the
entry point; the commands are imported inside it, so that Ctrl-C is answered from the start on.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper

INTERRUPTED = 130
STOPPED = "stopped; no unfinished file was left."


def main() -> None:
    """Entry point of the command `decontext`."""
    try:
        # Before torch is imported. Threads that wait for others then leave the processor to whoever
        # has work: beside a busy process spinning took several times as long (benchmarks/waiting).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop: as by Ctrl-C
        _prepare_streams()
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # For programmers; PYTHONWARNINGS brings them back.
        code = run(sys.argv[1:])
        _finish_output()
    except KeyboardInterrupt:
        code = INTERRUPTED
        sys.stderr.write(f"Error: {STOPPED}\n")
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown, not raised."""
    from decontext.cli.commands import run_command

    return run_command(arguments)


def _prepare_streams() -> None:
    """A name that the terminal cannot show is shown in escapes, and no work is lost for it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _finish_output() -> None:
    """What cannot be written is dropped: it was told, and Python would try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
