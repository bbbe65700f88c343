"""The benchmark for GPUs, at toy size on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu


@pytest.mark.parametrize("editor", ["flux2-klein", "qwen-image-2.1"])
def test_toy_size_runs_on_a_cpu_and_writes_page_and_json(
    editor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = [("float32", False, False), ("float32", True, True), ("int8", False, True)]
    monkeypatch.setattr(gpu, "WAYS", ways)
    monkeypatch.setattr(gpu, "PRESETS", ["fast"])
    choices = ["--editor", editor, "--random", "--size", "toy", "--device", "cpu"]
    gpu.main([*choices, "--steps", "0", "--output", str(tmp_path)])
    found = json.loads((tmp_path / f"{editor}-toy-cpu.json").read_text("utf-8"))
    kept, streamed, packed = found["ways"]
    assert kept["gradient_cosine"] == pytest.approx(1)
    assert streamed["gradient_error"] < 1e-4
    assert packed["gradient_cosine"] > 0.5
    assert packed["gradient_error"] > 1e-4
    # A process that has held more before needs no more of the system for a step this small.
    assert all(row["peak_memory"] >= 0 and row["seconds_a_step"] > 0 for row in found["ways"])
    page = (tmp_path / f"{editor}-toy-cpu.md").read_text("utf-8")
    assert "of no use" in page
    assert "| fast | double:0 |" in page


def test_what_does_not_fit_is_told_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "free_memory", lambda _: 1000)
    monkeypatch.setattr(gpu, "WAYS", [("float32", False, True)])
    monkeypatch.setattr(gpu, "PRESETS", [])
    subject = gpu.Subject("flux-kontext", None, True, True, torch.device("cpu"))
    (row,) = gpu.measure(subject, 1)["ways"]
    assert "the plan says" in row["skipped"]
