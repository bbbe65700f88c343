"""Imported once by the server that forks the runs: what takes seconds, and writes nothing."""

import decontext
import decontext.cli
import decontext.estimate
import decontext.protect

decontext.load_editor("kontext-mini", device="cpu")
