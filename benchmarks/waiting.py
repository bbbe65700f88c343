"""How threads that wait should wait: time of a step alone and beside busy processes.

    python -m benchmarks.waiting --page docs/performance.md

Each way is a process of its own that takes steps against kontext-mini; beside it runs nothing, one
busy Python loop, or a second run of the same kind. The ways take turns, `--rounds` times over, so
that a machine with other work on it slows all of them; the table holds medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.sections import put, table

WAYS: dict[str, dict[str, str]] = {
    "as torch does": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
BESIDE = ("nothing", "a busy loop", "a second run")
LOOP = "while True: pass"
STEPS = """
import sys, time, torch
from decontext.editors import load_editor
editor = load_editor("kontext-mini", device="cpu")
photo, prompt = torch.rand(1, 3, 96, 96), editor.encode_prompt("smile")
noise = editor.draw_noise(editor.working_size(96, 96), torch.Generator().manual_seed(0))
blocks = range(editor.info.double_blocks + editor.info.single_blocks)
seconds = []
for step in range(int(sys.argv[1])):
    began = time.perf_counter()
    image = photo.clone().requires_grad_()
    editor.attend(image, prompt, 0.99, noise, blocks).mean().backward()
    seconds.append(time.perf_counter() - began)
print(sorted(seconds[1:])[len(seconds) // 2])
"""


def environment(way: str) -> dict[str, str]:
    """That of this process, without what decides how threads wait, and with the way's own."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    return own | WAYS[way]


@contextmanager
def beside(kind: str, way: str, steps: int) -> Iterator[None]:
    """Something that runs meanwhile."""
    code = {"a busy loop": [LOOP], "a second run": [STEPS, str(100 * steps)]}.get(kind)
    if code is None:
        yield
        return
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", *code], env=environment(way), **quiet) as other:  # type: ignore[call-overload]
        try:
            yield
        finally:
            other.kill()


def main() -> None:
    """Measure, print the table, and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(given.rounds):
        for kind in BESIDE:
            for way in WAYS:
                with beside(kind, way, given.steps):
                    command = [sys.executable, "-c", STEPS, str(given.steps)]
                    run = subprocess.run(
                        command, env=environment(way), capture_output=True, text=True, check=True
                    )
                found.setdefault((way, kind), []).append(float(run.stdout))
    rows = [
        [way, *(f"{statistics.median(found[way, kind]):.2f} s" for kind in BESIDE)] for way in WAYS
    ]
    text = table(["threads", *(f"beside {kind}" for kind in BESIDE)], rows)
    text += f"\n\nMedians of {given.rounds} runs on {os.cpu_count()} cores."
    print(text)
    if given.page:
        put(given.page, "waiting", text)


if __name__ == "__main__":
    main()
