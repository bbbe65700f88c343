"""The demonstration: two portraits protected, all versions edited, and who the edits show.

`run` does it, `results` holds what was found, `page` tells it.
"""

from decontext.demo.results import Demonstration, Edit, Exhibit
from decontext.demo.run import INSTRUCTIONS, SETTINGS, OnProgress, run_demo

__all__ = [
    "INSTRUCTIONS",
    "SETTINGS",
    "Demonstration",
    "Edit",
    "Exhibit",
    "OnProgress",
    "run_demo",
]
