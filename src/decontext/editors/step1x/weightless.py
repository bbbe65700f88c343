"""The parts of Step1X-Edit that are not FLUX's, in their published sizes, without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from decontext.editors.step1x.connector import Connector
from decontext.editors.step1x.pixels import GRID
from decontext.editors.step1x.text import Reading
from decontext.editors.step1x.text_v1_2 import WORDS, place_in_time
from decontext.editors.weights.weightless import STORED, Held, fill_part

STATES = 3584
"""Width of Qwen2.5-VL-7B."""

WIDTH = 4096
"""Of the connector's text tokens."""


class NoReader:
    """In the place of the language model: readings as long as its own, and nothing in them."""

    def read(self, text: str, patches: Tensor, rows_columns: tuple[int, int]) -> Reading:
        del text, patches
        grid = (rows_columns[0] // GRID.merge, rows_columns[1] // GRID.merge)
        photo = grid[0] * grid[1]
        # Readings are kept beside the CPU, whatever the device.
        states = torch.zeros((photo + WORDS, STATES), dtype=STORED)
        return Reading(
            states,
            range(photo),
            {
                "times": place_in_time(0, grid, len(states), slice(None)),
                "letters": torch.zeros(0, dtype=torch.int64),
                "embeddings": states[:0],
                "grid": torch.tensor(grid),
            },
        )


def empty_connector(held: Held, *, scaled: bool) -> Connector:
    """See `Connector`; as it is stored."""
    connector: Connector = fill_part(
        lambda: Connector(STATES, WIDTH, heads=32, depth=2, pooled=768, scaled=scaled), held
    )
    return connector.to(STORED)


def empty_mapping(held: Held) -> nn.Linear:
    """v1.2's layer for quoted letters; as it is stored."""
    mapping: nn.Linear = fill_part(lambda: nn.Linear(STATES, WIDTH), held)
    return mapping.to(STORED)
