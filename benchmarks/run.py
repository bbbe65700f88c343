"""All cases one after the other, each in a process of its own; what was measured is not repeated.

    python -m benchmarks.run --threads 2 --results build/bench.jsonl --page docs/performance.md

Stopped and started again it goes on. `--toy` runs everything in seconds, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import photo, step
from benchmarks.page import write_page
from benchmarks.sections import PAGE

# Widths are chosen so that a full run takes about ten minutes on two cores.
SIZES = (
    {"side": 512, "text": 512, "heads": 3, "head": 128, "double": 1, "single": 4},
    {"side": 1024, "text": 512, "heads": 1, "head": 64, "double": 1, "single": 4},
)
"""With one double and four single blocks `paper` ends at 4 of 5 blocks; in FLUX at 45 of 57."""

MODULES = {"step": step.run_case, "photo": photo.run_case}

TOY = ({"side": 64, "text": 16, "heads": 1, "head": 64, "double": 1, "single": 4},)
BLOCKS = ("paper", "double:0")
WAYS = ("original", "ours")
PHOTOS = ((1, 1024), (3, 1024), (12, 1024), (24, 1024), (48, 1024), (12, 512))
"""Megapixels, and the working size."""


def list_cases(*, toy: bool, threads: int, device: str, repeats: int) -> list[dict[str, Any]]:
    """Both ways in turn, so that a machine that slows down slows both."""
    common = {"threads": threads, "device": device, "repeats": repeats}
    cases = [
        {"module": "step", "way": way, "blocks": blocks, "checkpointing": twice, **size, **common}
        for size in (TOY if toy else SIZES)
        for blocks in BLOCKS
        for twice in (False, True)
        for way in WAYS
    ]
    cases += [
        {"module": "photo", "megapixels": count, "side": side, **common}
        for count, side in (((0.1, 64),) if toy else PHOTOS)
    ]
    return cases


def run(cases: list[dict[str, Any]], results: Path) -> list[dict[str, Any]]:
    """Measure what is missing; returns case and result of everything."""
    results.parent.mkdir(parents=True, exist_ok=True)
    lines = results.read_text().splitlines() if results.exists() else []
    done = [json.loads(line) for line in lines]
    known = {json.dumps(entry["case"], sort_keys=True) for entry in done}
    for index, case in enumerate(cases):
        if json.dumps(case, sort_keys=True) in known:
            continue
        began = time.perf_counter()
        entry = {"case": case, "result": _measure(case)}
        with results.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        done.append(entry)
        print(f"{index + 1}/{len(cases)} {time.perf_counter() - began:.0f} s {case}", flush=True)
    wanted = {json.dumps(case, sort_keys=True) for case in cases}
    return [entry for entry in done if json.dumps(entry["case"], sort_keys=True) in wanted]


def _measure(case: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own, forked from this one, which has imported everything and run nothing.

    So memory that one case leaves behind is not there for the next.
    """
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(send, case))
    process.start()
    send.close()
    try:
        result: dict[str, Any] = receive.recv()
    except EOFError:
        process.join()
        return {"failed": process.exitcode}
    process.join()
    return result


def _answer(send: Connection, case: dict[str, Any]) -> None:
    send.send(MODULES[case["module"]](case))


def main() -> None:
    """Read the command line, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("build/bench.jsonl"))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--toy", action="store_true")
    given = parser.parse_args()
    cases = list_cases(
        toy=given.toy, threads=given.threads, device=given.device, repeats=given.repeats
    )
    entries = run(cases, given.results)
    write_page(entries, given.page, command=f"make bench THREADS={given.threads}")
    print(f"{given.page} written")


if __name__ == "__main__":
    main()
