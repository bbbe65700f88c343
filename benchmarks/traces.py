"""One step of every editor in its published size, followed on torch's meta device.

    python -m benchmarks.traces --pages

needs no weights and no GPU; about a minute for each editor on an idle machine. The traces of each
editor are kept in docs/traces.json (--resume), and those that are there are not made again. --pages
writes them into docs/performance.md, and what they say of each editor into docs/editors.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.sections import put, table
from decontext.editors import editor_names
from decontext.errors import InputError
from decontext.machine import describe_bytes
from decontext.trace import WAYS, Trace, trace_ways

KEPT = Path("docs/traces.json")
PAGE, SUMMARY = Path("docs/performance.md"), Path("docs/editors.md")
HEADING = ("editor", "seen at", "held", "weights", "peak", "plan", "TFLOP", "plan")
LINE = (
    "editor",
    "seen at",
    "bfloat16",
    "activations kept",
    "int8",
    "nf4",
    "streamed",
    "work of a step",
)
"""Of an editor: how large a photo of 1600 x 1200 is seen, memory in each of `WAYS`, work."""


def main() -> None:
    """Follow the editors, print the table and put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editors", default=",".join(editor_names()))
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--resume", type=Path, default=KEPT)
    options = parser.parse_args()
    for name in options.editors.split(","):
        try:
            follow(name, options.resume)
        except InputError as error:
            print(error)
    text = build_table(options.resume)
    print(text)
    if options.pages:
        put(PAGE, "traces", text, measured=False)
        put(SUMMARY, "memory of editors", build_summary(options.resume), measured=False)


def build_table(kept: Path = KEPT) -> str:
    """All traces that were kept."""
    known = json.loads(kept.read_text("utf-8"))
    return table(HEADING, [row_of(_read(row)) for _, rows in sorted(known.items()) for row in rows])


def build_summary(kept: Path = KEPT) -> str:
    """Of every editor the peaks of memory and the work of a step, a line each."""
    known = json.loads(kept.read_text("utf-8"))
    return table(LINE, [_sum_up(name, rows) for name, rows in sorted(known.items())])


def _sum_up(name: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    held = {trace.held: trace for trace in map(_read, rows)}
    ways = [held[way.describe()] for way in WAYS]
    width, height = ways[0].size
    peaks = [describe_bytes(way.peak) for way in ways]
    work = f"{ways[0].flop / 1e12:.0f} TFLOP"
    return (f"`{name}`", f"{width} x {height}", *peaks, work)


def _read(row: dict[str, Any]) -> Trace:
    return Trace(**{**row, "size": tuple(row["size"])})


def follow(name: str, kept: Path) -> list[Trace]:
    """The traces of an editor, those that were kept where there are any."""
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if name in known:
        return [_read(row) for row in known[name]]
    traces = list(trace_ways(name, on_way=lambda done, _, note: print(f"{name}: {done} {note}")))
    known[name] = [trace.to_dict() for trace in traces]
    kept.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return traces


def row_of(trace: Trace) -> tuple[str, ...]:
    """Cells of the table; what the plan says by how much it is off."""
    return (
        trace.editor,
        f"{trace.size[0]} x {trace.size[1]}",
        trace.held,
        describe_bytes(trace.weights),
        describe_bytes(trace.peak),
        f"{trace.memory_error:+.1%}",
        f"{trace.flop / 1e12:.0f}",
        f"{trace.flop_error:+.1%}",
    )


if __name__ == "__main__":
    main()
