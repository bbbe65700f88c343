"""Steps and photos in docs/performance.md, from what was measured."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.sections import put

Entry = dict[str, Any]

PART = """Written by `{command}`. Machine: {machine}, {threads} threads; Python
{python}, torch {torch}, diffusers {diffusers}. Each case ran in a process of its own; times are
medians of {repeats} steps after one to warm up, memory is the peak of the process above what it
took before the step.

## Against the original formula

A step goes from the photo's latents to the gradient in them, with random weights, in float32.
*Original*: every block is run, queries and keys of the chosen blocks are kept, and the whole
softmax matrix of each is made. *Ours*: the proportion is one more attention call, and the pass
ends after the last chosen block. Weights, inputs and threads are the same. The model is far
narrower than FLUX.1 Kontext ({widths}), so that attention weighs more in it than in FLUX; its
numbers of tokens are FLUX's. `paper` are the first 26 of 38 single blocks, here {paper}.

{steps}

The values and gradients of both ways agree to {agreement:.1e} (relative).

A step of ours reaches {share} of the speed of a plain matrix product on this machine
({rate:.0f} GFLOP/s).

## How cost grows with the photo

What the pixels cost beside the editor: the resize to the working size and its gradient, momentum,
projection. The photo is 4 to 3.

{photos}
"""


def write_page(entries: Sequence[Entry], path: Path, *, command: str) -> None:
    """Write what was measured into its part of the page."""
    measured = [entry for entry in entries if "failed" not in entry["result"]]
    steps = [entry for entry in measured if entry["case"]["module"] == "step"]
    photos = [entry for entry in measured if entry["case"]["module"] == "photo"]
    ours = [entry for entry in steps if entry["case"]["way"] == "ours"]
    shares = [_speed(entry) / entry["result"]["matmul_rate"] for entry in ours]
    rates = [entry["result"]["matmul_rate"] for entry in ours]
    first = entries[0]["case"]
    text = PART.format(
        command=command,
        machine=_machine(),
        threads=first["threads"],
        repeats=first["repeats"],
        python=platform.python_version(),
        torch=version("torch"),
        diffusers=version("diffusers"),
        widths=_widths(steps),
        paper=f"the first {_paper_blocks(first)} of {first['single']}",
        steps=_step_table(steps),
        agreement=_disagreement(steps),
        share=f"{min(shares):.2f} to {max(shares):.2f}",
        rate=statistics.median(rates) / 1e9,
        photos=_photo_table(photos),
    )
    put(path, "steps", text)


def _step_table(steps: Sequence[Entry]) -> str:
    rows = [
        "| photo | tokens | blocks | activations | original | ours | time ratio "
        "| original, memory | ours, memory | memory ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for original, ours in _pairs(steps):
        case = ours["case"]
        seconds = [statistics.median(entry["result"]["seconds"]) for entry in (original, ours)]
        peaks = [entry["result"]["peak_bytes"] for entry in (original, ours)]
        rows.append(
            f"| {case['side']} x {case['side']} | {ours['result']['tokens']} | `{case['blocks']}` "
            f"| {'checkpointed' if case['checkpointing'] else 'all kept'} "
            f"| {seconds[0]:.2f} s | {seconds[1]:.2f} s | {seconds[1] / seconds[0]:.2f} "
            f"| {peaks[0] / 1e6:.0f} MB | {peaks[1] / 1e6:.0f} MB | {peaks[1] / peaks[0]:.2f} |"
        )
    return "\n".join(rows)


def _photo_table(photos: Sequence[Entry]) -> str:
    rows = ["| photo | working size | seconds a step | memory |", "|---|---|---|---|"]
    for entry in photos:
        case, result = entry["case"], entry["result"]
        seconds = statistics.median(result["seconds"])
        rows.append(
            f"| {case['megapixels']} MP | {case['side']} | {seconds:.2f} "
            f"| {result['peak_bytes'] / 1e6:.0f} MB |"
        )
    return "\n".join(rows)


def _pairs(steps: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Original and ours of the same case."""

    def key(entry: Entry) -> tuple[object, ...]:
        return tuple(v for name, v in sorted(entry["case"].items()) if name != "way")

    originals = {key(entry): entry for entry in steps if entry["case"]["way"] == "original"}
    return [
        (originals[key(entry)], entry)
        for entry in steps
        if entry["case"]["way"] == "ours" and key(entry) in originals
    ]


def _disagreement(steps: Sequence[Entry]) -> float:
    """Largest relative difference of value or gradient's norm between both ways."""
    return max(
        abs(original["result"][name] / ours["result"][name] - 1)
        for original, ours in _pairs(steps)
        for name in ("value", "gradient_norm")
    )


def _speed(entry: Entry) -> float:
    return float(entry["result"]["flop"] / statistics.median(entry["result"]["seconds"]))


def _widths(steps: Sequence[Entry]) -> str:
    found = {
        entry["case"]["side"]: entry["case"]["head"] * entry["case"]["heads"] for entry in steps
    }
    parts = [f"{width} numbers at {side} x {side}" for side, width in found.items()]
    first = steps[0]["case"]
    return f"{', '.join(parts)}; {first['double']} double and {first['single']} single blocks"


def _paper_blocks(case: dict[str, Any]) -> int:
    from decontext.attention import resolve_blocks

    return len(resolve_blocks("paper", case["double"], case["single"]))


def _machine() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({len(names)} cores)" if names else platform.processor() or "unknown"
