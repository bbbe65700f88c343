"""A large editor in its published size on a GPU: time and memory of a step, and its gradients.

    python -m benchmarks.gpu --editor flux-kontext --random
    python -m benchmarks.gpu --editor flux-kontext --weights FOLDER
    python -m benchmarks.gpu --editor flux-kontext --random --size toy --device cpu

holds the weights in each way that fits, takes steps over all blocks at the editor's ordinary size,
and compares time, peak of memory and the gradient in the photo with those of the best way and with
the plan; then a step of each preset. Writes one page and one JSON file into docs/gpu/. --random
needs no download: the model has its published size and random weights, which cost as much time and
memory. --size toy is for trying the script itself: two heads, few blocks, a small photo.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_page import write_page
from benchmarks.step import _peak, _reset_peak, _wait
from decontext.attention import resolve_blocks
from decontext.editors import Editor, Estimates, load_editor, weightless_editor
from decontext.editors.weights.loading import choose_device
from decontext.editors.weights.weightless import Held
from decontext.errors import DecontextError
from decontext.machine import describe_bytes, free_memory
from decontext.objectives import build_objective, working_sizes
from decontext.settings import PRESETS, ProtectSettings

WAYS = (
    ("float32", False, True),
    ("bfloat16", False, False),
    ("bfloat16", False, True),
    ("int8", False, True),
    ("nf4", False, True),
    ("bfloat16", True, True),
)
"""Precision, streamed, activations computed twice. The first that fits is what others are compared
with. Of real weights whether activations are kept is what the plan chooses."""

TOY: dict[str, Any] = {"depth": (1, 2), "small": True}
PHOTO, TOY_PHOTO = (1600, 1200), (96, 64)
SEED = 0


@dataclass(frozen=True)
class Subject:
    """Which editor is measured: by name, with its `weights` or random ones, where and how large."""

    editor: str
    weights: str | None
    random: bool
    toy: bool
    device: torch.device

    @property
    def photo(self) -> Tensor:
        """A random photo, so that every pixel matters."""
        width, height = TOY_PHOTO if self.toy else PHOTO
        generator = torch.Generator().manual_seed(SEED)
        return torch.rand((1, 3, height, width), generator=generator).mul(255).round().div(255)

    @property
    def side(self) -> str:
        """Of the working size."""
        return "64" if self.toy else "ordinary"

    def load(self, precision: str, *, streamed: bool, checkpointing: bool) -> Editor:
        """The editor with its weights held in one way."""
        if self.random:
            sizes = TOY if self.toy else {}
            held = Held(precision, streamed, checkpointing, device=self.device, **sizes)
            return weightless_editor(self.editor, held)
        options = {"stream_weights": True} if streamed else {}
        return load_editor(
            self.editor, source=self.weights, device=self.device, dtype=precision, **options
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write page and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editor", required=True)
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights")
    weights.add_argument("--random", action="store_true")
    parser.add_argument("--size", choices=("real", "toy"), default="real")
    parser.add_argument("--device")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("docs/gpu"))
    options = parser.parse_args(arguments)
    subject = Subject(
        options.editor,
        options.weights,
        options.random,
        options.size == "toy",
        choose_device(options.device),
    )
    found = measure(subject, options.steps)
    name = f"{subject.editor}-{options.size}-{found['machine']['short']}"
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{name}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(write_page(found), encoding="utf-8")
    print(f"written: {path} and {path.with_suffix('.md')}")


def measure(subject: Subject, steps: int) -> dict[str, Any]:
    """Everything that the page shows, as plain values."""
    ways, reference = [], None
    for precision, streamed, checkpointing in WAYS:
        row = {"precision": precision, "streamed": streamed, "checkpointing": checkpointing}
        print(row, flush=True)
        try:
            found, gradient = measure_way(subject, row, steps)
        except (DecontextError, torch.OutOfMemoryError) as error:
            ways.append(row | {"skipped": str(error)})
            continue
        reference = gradient if reference is None else reference
        ways.append(row | found | compare(gradient, reference))
    return {
        "format": "decontext-gpu-1",
        "editor": subject.editor,
        "weights": "random" if subject.random else subject.weights or "the editor's own",
        "size": "toy" if subject.toy else "real",
        "machine": describe_machine(subject.device),
        "ways": ways,
        "presets": [measure_preset(subject, name, steps) for name in PRESETS],
    }


def measure_way(subject: Subject, way: dict[str, Any], steps: int) -> tuple[dict[str, Any], Tensor]:
    """Seconds and memory of a step with the weights held in one way, and its first gradient."""
    settings = ProtectSettings(samples_per_step=1, working_size=subject.side)
    free = free_memory(subject.device)
    before = _reset_peak(subject.device)
    editor = subject.load(
        way["precision"], streamed=way["streamed"], checkpointing=way["checkpointing"]
    )
    cost = plan_of(editor, subject.photo, settings)
    if cost["planned_memory"] > free:
        needed, there = describe_bytes(cost["planned_memory"]), describe_bytes(free)
        raise DecontextError(f"the plan says {needed}, and {there} are free.")
    seconds, gradients = take_steps(editor, subject, settings, steps)
    peak = _peak(subject.device) - before
    del editor
    gc.collect()
    usual = statistics.median(seconds[1:] or seconds)
    measured = {
        "seconds": seconds,
        "seconds_a_step": usual,
        "peak_memory": peak,
        "tflop_per_second": cost["planned_flop"] / usual / 1e12,
    }
    return cost | measured, gradients


def plan_of(editor: Editor, photo: Tensor, settings: ProtectSettings) -> dict[str, Any]:
    """What the plan says of a step, before anything is loaded."""
    if not isinstance(editor, Estimates):
        return {"planned_memory": 0, "planned_flop": 0.0, "plan": "none"}
    info = editor.info
    blocks = resolve_blocks(settings.blocks, info.double_blocks, info.single_blocks)
    sizes = working_sizes(editor, photo, settings.working_sides)
    cost = editor.estimate(blocks, sizes, settings.samples_per_step)
    return {
        "planned_memory": cost.memory,
        "planned_flop": cost.step_flop,
        "plan": cost.words,
        "seen_at": list(sizes[0]),
        "blocks": cost.blocks,
    }


def take_steps(
    editor: Editor, subject: Subject, settings: ProtectSettings, steps: int
) -> tuple[list[float], Tensor]:
    """Seconds of each step, the first with loading, and the gradient of the first, on the CPU."""
    photo = subject.photo.to(subject.device)
    began = time.perf_counter()
    objective = build_objective(editor, photo, settings)
    seconds, gradients = [], []
    for number in range(steps + 1):
        image = photo.clone().requires_grad_()
        value = objective(image, torch.Generator().manual_seed(SEED + number))
        gradients += torch.autograd.grad(value, image)
        _wait(subject.device)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return seconds, gradients[0].cpu()


def compare(gradient: Tensor, reference: Tensor) -> dict[str, float]:
    """How far a gradient is from another one: the cosine, and the length of their difference."""
    one, other = gradient.double().flatten(), reference.double().flatten()
    return {
        "gradient_cosine": float(torch.cosine_similarity(one, other, dim=0)),
        "gradient_error": float((one - other).norm() / other.norm()),
    }


def measure_preset(subject: Subject, name: str, steps: int) -> dict[str, Any]:
    """A step of a preset, with the weights as the plan chooses, and what all its steps come to."""
    settings = ProtectSettings.from_preset(name)
    if subject.toy:
        blocks = "double:0" if settings.blocks == "double:0" else "all"
        settings = ProtectSettings(steps=settings.steps, working_size=subject.side, blocks=blocks)
    row = {"preset": name, "steps": settings.steps, "blocks": settings.blocks}
    precision = "bfloat16" if subject.random else "auto"
    try:
        editor = subject.load(precision, streamed=False, checkpointing=True)
        seconds, _ = take_steps(editor, subject, settings, min(steps, 2))
    except (DecontextError, torch.OutOfMemoryError) as error:
        return row | {"skipped": str(error)}
    del editor
    gc.collect()
    return row | {"seconds_a_step": seconds[-1], "seconds_of_all": seconds[-1] * settings.steps}


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Where it ran."""
    gpu = device.type == "cuda"
    title = torch.cuda.get_device_name(device) if gpu else platform.processor() or "CPU"
    short = "-".join(title.lower().replace("nvidia", "").split()) if gpu else "cpu"
    return {
        "device": device.type,
        "title": title,
        "short": short,
        "memory": torch.cuda.get_device_properties(device).total_memory if gpu else 0,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "diffusers")},
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
