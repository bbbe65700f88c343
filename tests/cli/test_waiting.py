"""Threads of a command wait without spinning, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from decontext import cli
cli.run = lambda arguments: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
cli.main()
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_how_threads_wait_is_settled_before_torch_is_imported(
    given: str | None, expected: str
) -> None:
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    own |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=own, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected, "False"]
