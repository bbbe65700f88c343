"""Whoever uses an editor from Python sees nothing of the libraries behind it."""

import subprocess
import sys

CODE = """
import logging, torch
from decontext.editors import load_editor
editor = load_editor("kontext-mini", device="cpu")
photo = torch.rand(1, 3, 64, 64)
editor.prepare(["smile " * 300], [0])
editor.edit(photo, "frown " * 300, steps=1)
import diffusers.utils.logging as library
assert library.get_verbosity() == logging.WARNING and library.is_progress_bar_enabled()
"""


def test_loading_and_using_an_editor_in_a_new_process_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "" and done.stderr == ""
