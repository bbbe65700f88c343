"""Work of protecting a photo by each editor, and what many photos take: counted, nothing is run.

python -m benchmarks.sizing --page
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sections import put, table
from decontext.attention import resolve_blocks
from decontext.editors import list_editors, weightless_editor
from decontext.editors._base import Estimates
from decontext.editors.weights.weightless import Held
from decontext.errors import DecontextError
from decontext.estimate import CASES_OF_A_CHECK, PICTURES_OF_A_MEASUREMENT
from decontext.pgd import CHECK_EVERY
from decontext.settings import PRESETS, ProtectSettings

PAGE = Path("docs/cluster.md")
HEADING = ("editor", "preset", "work of a photo", "photos per GPU-hour", "hours per million")
RATE = 300.0
HELD = Held()
PHOTO = (4000, 3000)
"""Width and height of the photo that is counted for."""


def main() -> None:
    """Write the table into the page, or print it for another rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="TFLOP/s that are reached")
    parser.add_argument("--page", action="store_true", help="into docs/cluster.md")
    given = parser.parse_args()
    text = build_table(given.rate)
    print(text)
    if given.page:
        put(PAGE, "sizing", text, measured=False)


def build_table(rate: float = RATE, *, names: Sequence[str] = ()) -> str:
    """Work and time of a photo by each editor with each preset, at `rate` TFLOP/s; `names`: of
    these editors only."""
    rows = []
    for info in list_editors():
        if info.demonstration or (names and info.name not in names):
            continue
        for preset in PRESETS:
            try:
                work = count_work(info.name, ProtectSettings.from_preset(preset))
            except DecontextError:
                continue
            seconds = work / (rate * 1e12)
            rows.append(
                (
                    f"`{info.name}`",
                    preset,
                    f"{_short(work / 1e15)} PFLOP",
                    f"{3600 / seconds:,.0f}",
                    f"{1e6 * seconds / 3600:,.0f}",
                )
            )
    return table(HEADING, rows)


def _short(value: float) -> str:
    """Two digits of small numbers, large ones whole."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def count_work(name: str, settings: ProtectSettings) -> float:
    """Floating-point operations of a photo whose verdict is strong after `steps` steps."""
    editor = weightless_editor(name, HELD)
    if not isinstance(editor, Estimates):
        raise DecontextError(f"{name} cannot say what a step takes.")
    info = editor.info
    blocks = resolve_blocks(settings.blocks, info.double_blocks, info.single_blocks)
    sizes = tuple(editor.working_size(*PHOTO, side) for side in settings.working_sides)
    cost = editor.estimate(blocks, sizes, settings.samples_per_step)
    checks = CASES_OF_A_CHECK * len(sizes) * (settings.steps // CHECK_EVERY + 1)
    measured = PICTURES_OF_A_MEASUREMENT * settings.verify_prompts * settings.verify_noises
    return settings.steps * cost.step_flop + (checks + measured) * cost.pass_flop


if __name__ == "__main__":
    main()
