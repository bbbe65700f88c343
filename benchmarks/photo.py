"""One photo size in a process of its own: what the pixels cost beside the editor.

    python -m benchmarks.photo '{"megapixels": 12, ...}'

prints one JSON line: seconds of a step and memory on top, with an editor that costs next to
nothing. The steps are those of `decontext protect`: resize, its gradient, momentum, projection.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

from benchmarks.step import _peak, _reset_peak
from decontext.pgd import descend
from decontext.photo.resampling import resize


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Steps on a random photo of 4 to 3, seen at `side` x `side` pixels by area."""
    torch.set_num_threads(case["threads"])
    device = torch.device("cpu")
    area = case["megapixels"] * 1e6
    width, height = round((area * 4 / 3) ** 0.5), round((area * 3 / 4) ** 0.5)
    side = case["side"]
    size = (round(side * (4 / 3) ** 0.5 / 16) * 16, round(side * (3 / 4) ** 0.5 / 16) * 16)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(1, 3, size[1], size[0], generator=generator)
    before = _reset_peak(device)
    photo = torch.rand(1, 3, height, width, generator=generator)
    steps = descend(
        lambda image: (resize(image, size) * weights).sum(),
        photo,
        epsilon=8 / 255,
        steps=case["repeats"] + 1,
        step_size=1 / 255,
        random_start=0.5,
        generator=generator,
        check_every=1000,
    )
    seconds, began = [], time.perf_counter()
    for _ in steps:
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    # The first step comes with the start, the last with the final check.
    return {"seconds": seconds[1:-1] or seconds, "peak_bytes": _peak(device) - before}


if __name__ == "__main__":
    print(json.dumps(run_case(json.loads(sys.argv[1]))))
