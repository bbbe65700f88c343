"""The parts of Step1X-Edit that are not FLUX's, in their published sizes, without weights."""

from __future__ import annotations

import torch
from torch import Tensor

from decontext.editors.step1x.connector import Connector
from decontext.editors.step1x.pixels import GRID
from decontext.editors.step1x.text import Reading
from decontext.editors.weights.weightless import STORED, Held, fill_part

STATES = 3584
"""Width of Qwen2.5-VL-7B."""

WORDS = 64
"""Text tokens of a reading, beside those of the photo: about as many as an instruction has."""


class NoReader:
    """In the place of the language model: readings as long as its own, and nothing in them."""

    def read(self, text: str, patches: Tensor, rows_columns: tuple[int, int]) -> Reading:
        del text, patches
        photo = rows_columns[0] * rows_columns[1] // GRID.merge**2
        # Readings are kept beside the CPU, whatever the device.
        return Reading(torch.zeros((photo + WORDS, STATES), dtype=STORED), range(photo))


def empty_connector(held: Held, *, scaled: bool) -> Connector:
    """See `Connector`; as it is stored."""
    connector: Connector = fill_part(
        lambda: Connector(STATES, 4096, heads=32, depth=2, pooled=768, scaled=scaled), held
    )
    return connector.to(STORED)
