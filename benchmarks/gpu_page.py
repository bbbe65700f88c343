"""The page of `benchmarks.gpu`, in Markdown, from its JSON."""

from __future__ import annotations

from typing import Any

from benchmarks.sections import table
from decontext.machine import describe_bytes, describe_seconds

Row = dict[str, Any]

HEAD = """# {editor}, {size} size, on {title}

Written by `python -m benchmarks.gpu --editor {editor}{options}` on {date}; torch {torch},
diffusers {diffusers}, CUDA {cuda}. Weights: {weights}. {toy}

## Ways to hold the weights

A step over all blocks with the gradient in the photo. Times are medians after a first step, which
loads; memory is the peak on the device, weights included. Gradients are compared with those of the
first way that fits, for the same draws.

{ways}

## Presets

A step of each, with the weights in bfloat16 or as the plan chooses.

{presets}
"""
TOY = "Toy size: this says only that the script works; the figures are of no use."


def write_page(found: Row) -> str:
    """The whole page."""
    machine = found["machine"]
    options = " --random" if found["weights"] == "random" else ""
    return HEAD.format(
        editor=found["editor"],
        size=found["size"],
        title=machine["title"],
        options=options + (" --size toy" if found["size"] == "toy" else ""),
        date=machine["date"],
        cuda=machine["cuda"] or "none",
        weights=found["weights"],
        toy=TOY if found["size"] == "toy" else "",
        ways=table(
            ("weights", "a step", "TFLOP/s", "peak", "plan", "cosine", "relative error"),
            [_way(row) for row in found["ways"]],
        ),
        presets=table(
            ("preset", "blocks", "a step", "all steps"),
            [_preset(row) for row in found["presets"]],
        ),
        **machine["versions"],
    )


def _way(row: Row) -> tuple[str, ...]:
    name = row["precision"] + (", streamed" if row["streamed"] else "")
    name += ", computed twice" if row["checkpointing"] else ", kept"
    if "skipped" in row:
        return (name, f"skipped: {row['skipped']}", "", "", "", "", "")
    return (
        name,
        f"{row['seconds_a_step']:.2f} s",
        f"{row['tflop_per_second']:.2f}",
        describe_bytes(row["peak_memory"]),
        describe_bytes(row["planned_memory"]),
        f"{row['gradient_cosine']:.5f}",
        f"{row['gradient_error']:.1e}",
    )


def _preset(row: Row) -> tuple[str, ...]:
    if "skipped" in row:
        return (row["preset"], row["blocks"], f"skipped: {row['skipped']}", "")
    return (
        row["preset"],
        row["blocks"],
        f"{row['seconds_a_step']:.2f} s",
        f"{row['steps']} steps: {describe_seconds(row['seconds_of_all'])}",
    )
