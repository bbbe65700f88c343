"""One editor in several threads, with photos of several sizes: the numbers of a serial run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from flux_layout import save_flux_layout
from small_sides import shrink_editor, shrink_pipelines
from tiny_flux2 import save_tiny_flux2
from tiny_models import build_tiny_pipeline
from tiny_qwen import save_tiny_qwen
from tiny_step1x import save_tiny_step1x, save_tiny_step1x_v1_2
from torch import Tensor

from decontext.editors import load_editor
from decontext.editors._base import Editor
from decontext.editors.flux_kontext import FluxKontextEditor
from decontext.photo.images import Photo
from decontext.progress import drain
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.settings import ProtectSettings
from decontext.verify import verify

THREADS = 4
SIZES = ((64, 64), (96, 64), (64, 96), (110, 70))
Load = Callable[[], Any]


@pytest.fixture(
    scope="module",
    params=["checkpointed", "streamed", "step1x", "step1x-v1.2", "flux2-klein", "qwen"],
)
def load(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("editor") / "weights"
    if request.param == "checkpointed":
        return lambda: FluxKontextEditor(build_tiny_pipeline(), checkpointing=True)
    if request.param == "flux2-klein":
        save_tiny_flux2(folder)
        return lambda: load_editor("flux2-klein", source=folder, device="cpu")
    if request.param == "qwen":
        save_tiny_qwen(folder)
        name = "qwen-image-edit-2509"
        return lambda: shrink_editor(load_editor(name, source=folder, device="cpu"), 64)
    if request.param == "step1x":
        save_tiny_step1x(folder)
        return lambda: _smaller(load_editor("step1x-edit", source=folder, device="cpu"))
    if request.param == "step1x-v1.2":
        save_tiny_step1x_v1_2(folder)
        return lambda: _smaller(load_editor("step1x-edit-v1.2", source=folder, device="cpu"))
    save_flux_layout(folder, sample_size=64)
    options = {"source": folder, "device": "cpu", "dtype": "bfloat16", "stream_weights": True}
    return lambda: load_editor("flux-kontext", **options)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_pipelines(monkeypatch, 64)


def _smaller(editor: Any) -> Any:
    editor._side = 64
    return editor


def photo(number: int) -> Tensor:
    """A picture of one of four sizes, on 8-bit levels."""
    width, height = SIZES[number % len(SIZES)]
    generator = torch.Generator().manual_seed(number)
    return torch.rand((1, 3, height, width), generator=generator).mul(255).round().div(255)


def check(editor: Editor, number: int) -> tuple[float, ...]:
    """Measure a photo and one that differs, as `verify` does."""
    before = photo(number)
    after = (before + 8 / 255 * photo(number + len(SIZES))).clamp(0, 1).mul(255).round().div(255)
    text = HELD_OUT[number % len(HELD_OUT)]
    found = verify(after, before, editor, prompts=[text], noises=1, seed=number)
    return tuple(
        value for one in found.measurements for value in (one.original, one.protected, one.random)
    )


def change(editor: Editor, number: int) -> Tensor:
    """One of the other things that an editor does, by turns."""
    picture = photo(number)
    if number % 2:
        return editor.edit(picture, HELD_OUT[0], seed=number, steps=2 + number % 3)
    settings = ProtectSettings(steps=2, robust="web", seed=number, blocks="double:0-1")
    return drain(protect_steps(Photo(picture, Path("me.png"), "PNG", "RGB"), editor, settings))


def in_threads(work: Callable[[int], Any], count: int) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(count)))


def test_verifications_in_threads_are_those_of_a_serial_run(load: Load) -> None:
    alone, shared = load(), load()
    expected = [check(alone, number) for number in range(8)]
    assert in_threads(lambda number: check(shared, number), 8) == expected


def test_edits_and_protections_in_threads_are_those_of_a_serial_run(load: Load) -> None:
    alone, shared = load(), load()
    expected = [change(alone, number) for number in range(6)]
    found = in_threads(lambda number: change(shared, number), 6)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_verifications_in_threads_are_those_of_a_serial_run() -> None:
    alone, shared = load_editor("kontext-mini"), load_editor("kontext-mini")
    expected = [check(alone, number) for number in range(200)]
    assert in_threads(lambda number: check(shared, number), 200) == expected
