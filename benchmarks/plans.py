"""The plans of FLUX.1 Kontext for graphics cards, as a table: counted, nothing is run.

python -m benchmarks.plans
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.sections import put, table
from decontext.attention import resolve_blocks
from decontext.editors.weights.plan import Demand, Dimensions, choose_plan
from decontext.editors.weights.work import step_flop
from decontext.errors import EditorError
from decontext.machine import describe_bytes

PAGE = Path("docs/editors.md")
CARDS = (80, 24, 16, 12, 8)
FREE = 0.95
CASES = (("paper", 1024), ("paper", 512), ("double:0", 512))


def main() -> None:
    """Write the table into the page."""
    put(PAGE, "plans", build_table(), measured=False)


def build_table() -> str:
    """The plan that is chosen on each card, and the work of a step."""
    flux = Dimensions.from_config({"guidance_embeds": True})
    rows = [
        [f"{card} GB", *(_plan(flux, card, blocks, side) for blocks, side in CASES)]
        for card in CARDS
    ]
    rows.append(["work of a step", *(_work(flux, blocks, side) for blocks, side in CASES)])
    return table(["card", *(f"`{blocks}` at {side}" for blocks, side in CASES)], rows)


def _demand(flux: Dimensions, blocks: str, side: int) -> Demand:
    numbers = resolve_blocks(blocks, flux.double, flux.single)
    return Demand(max(numbers) + 1, len(numbers), ((side, side),), gpu=True)


def _plan(flux: Dimensions, card: int, blocks: str, side: int) -> str:
    free = int(card * FREE * 1024**3)
    demand = _demand(flux, blocks, side)
    try:
        plan = choose_plan(flux, demand, precision="auto", stream=False, free=free)
    except EditorError:
        return "does not fit"
    name = f"{plan.precision}{', streamed' if plan.streamed else ''}"
    return f"{name}{'' if plan.checkpointing else ', kept'}: {describe_bytes(plan.total)}"


def _work(flux: Dimensions, blocks: str, side: int) -> str:
    flop = step_flop(flux, _demand(flux, blocks, side), checkpointing=True)
    return f"{flop / 1e12:.0f} TFLOP"


if __name__ == "__main__":
    main()
