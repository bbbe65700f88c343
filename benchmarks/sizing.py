"""Work of protecting a photo by each editor, and what many photos take: counted, nothing is run.

python -m benchmarks.sizing --rate 300
"""

from __future__ import annotations

import argparse

from decontext.attention import resolve_blocks
from decontext.editors import list_editors, weightless_editor
from decontext.editors._base import Estimates
from decontext.editors.weights.weightless import Held
from decontext.errors import DecontextError
from decontext.estimate import CASES_OF_A_CHECK, PICTURES_OF_A_MEASUREMENT
from decontext.pgd import CHECK_EVERY
from decontext.settings import PRESETS, ProtectSettings

HELD = Held()
PHOTO = (4000, 3000)
"""Width and height of the photo that is counted for."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=300.0, help="TFLOP/s that are reached")
    rate = parser.parse_args().rate * 1e12
    print(
        "| editor | preset | work of a photo | photos per GPU-hour | hours of a GPU per million |"
    )
    print("|---|---|---|---|---|")
    for info in list_editors():
        if info.demonstration:
            continue
        for preset in PRESETS:
            try:
                work = count_work(info.name, ProtectSettings.from_preset(preset))
            except DecontextError:
                continue
            seconds = work / rate
            print(
                f"| `{info.name}` | {preset} | {work / 1e15:.2g} PFLOP | "
                f"{3600 / seconds:,.0f} | {1e6 * seconds / 3600:,.0f} |"
            )


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
