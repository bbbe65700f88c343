"""One step of every editor in its published size, followed on torch's meta device.

    python -m benchmarks.traces --page docs/performance.md

needs no weights and no GPU; about a minute for each editor on an idle machine. With --resume FILE
each editor's traces are kept there, and those that are there are not made again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.sections import put, table
from decontext.editors import editor_names
from decontext.errors import InputError
from decontext.machine import describe_bytes
from decontext.trace import Trace, trace_ways

HEADING = ("editor", "seen at", "held", "weights", "peak", "plan", "TFLOP", "plan")


def main() -> None:
    """Follow the editors, print the table and put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editors", default=",".join(editor_names()))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--resume", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.editors.split(","):
        try:
            rows += [row_of(trace) for trace in follow(name, options.resume)]
        except InputError as error:
            print(error)
    text = table(HEADING, rows)
    print(text)
    if options.page is not None:
        put(options.page, "traces", text)


def follow(name: str, kept: Path | None) -> list[Trace]:
    """The traces of an editor, those that were kept where there are any."""
    known = json.loads(kept.read_text("utf-8")) if kept is not None and kept.exists() else {}
    if name in known:
        return [Trace(**{**row, "size": tuple(row["size"])}) for row in known[name]]
    traces = list(trace_ways(name, on_way=lambda done, _, note: print(f"{name}: {done} {note}")))
    if kept is not None:
        known[name] = [trace.to_dict() for trace in traces]
        kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
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
