"""GPU hours of the paper's protocol, counted from the work of a step: nothing is run.

python -m benchmarks.protocol_cost
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.sections import put, table
from decontext.attention import resolve_blocks
from decontext.editors.weights.plan import Demand, Dimensions
from decontext.editors.weights.work import pass_flop, step_flop
from decontext.evaluation.protocols.plans import Part, build_parts

PAGE = Path("docs/reproducing.md")
PEOPLE, SIDE, EDIT_SIDE, EDIT_STEPS = 50, 512, 1024, 28
PROMISED = {"H100": 989e12, "A100": 312e12, "RTX 4090": 165e12}
"""Dense bfloat16 operations a second, by the makers' data sheets."""

USED = 0.4


def main() -> None:
    """Write the table into the page."""
    put(PAGE, "protocol cost", build_table(), measured=False)


def build_table() -> str:
    """Hours of each part on each card."""
    flux = Dimensions.from_config({"guidance_embeds": True})
    parts = build_parts("decontext", settings={}, blocks=(flux.double, flux.single))
    seen: set[str] = set()
    rows, whole = [], 0.0
    for part in parts:
        flop = PEOPLE * _part_flop(flux, part, seen)
        whole += flop
        rows.append([f"`{part.name}`", *(_hours(flop, card) for card in PROMISED)])
    rows.append(["all", *(_hours(whole, card) for card in PROMISED)])
    return table(["part", *PROMISED], rows)


def _part_flop(flux: Dimensions, part: Part, seen: set[str]) -> float:
    """Work for one photo; what an earlier part did already costs nothing."""
    every = Demand(flux.double + flux.single, 1, ((EDIT_SIDE, EDIT_SIDE),), gpu=True)
    edit = EDIT_STEPS * pass_flop(flux, every, EDIT_SIDE**2)
    versions = [version for version in part.versions if version.key not in seen]
    flop = (len(versions) + (part.name == "main")) * len(part.instructions) * edit
    for version in versions:
        seen.add(version.key)
        settings = version.settings
        names = "all" if settings.objective == "flow" else settings.blocks
        numbers = resolve_blocks(names, flux.double, flux.single)
        demand = Demand(max(numbers) + 1, len(numbers), ((SIDE, SIDE),), gpu=True)
        flop += settings.steps * step_flop(flux, demand, checkpointing=True)
    return flop


def _hours(flop: float, card: str) -> str:
    return f"{flop / (USED * PROMISED[card]) / 3600:.1f} h"


if __name__ == "__main__":
    main()
