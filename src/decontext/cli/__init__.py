"""The command line: it draws what the library yields and turns its errors into exit codes.

Last on the way of the data, and thin: every command loads, calls one function and shows what came
back. 0 is success, 1 "it failed" (or "not protected"), 2 "your input", 130 is Ctrl-C. Here is the
entry point; the commands are imported inside it, so that Ctrl-C is answered from the start on.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Sequence

INTERRUPTED = 130
STOPPED = "stopped; no unfinished file was left."


def main() -> None:
    """Entry point of the command `decontext`."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop: as by Ctrl-C
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # For programmers; PYTHONWARNINGS brings them back.
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
        sys.stderr.write(f"Error: {STOPPED}\n")
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown, not raised."""
    from decontext.cli.commands import run_command

    return run_command(arguments)
