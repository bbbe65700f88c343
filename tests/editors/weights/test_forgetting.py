"""Weights that are given back and read again, for editors that take turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_flux2 import save_tiny_flux2

import decontext
from decontext.editors import Rests


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_flux2(tmp_path_factory.mktemp("editor"))


@pytest.mark.parametrize(
    ("precision", "stream"), [("float32", False), ("int8", False), ("float32", True)]
)
def test_a_pass_after_a_rest_is_the_same(folder: Path, precision: str, stream: bool) -> None:
    editor: Any = decontext.load_editor(
        "flux2-klein", source=folder, device="cpu", dtype=precision, stream_weights=stream
    )
    assert isinstance(editor, Rests)
    image = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    prompt = editor.encode_prompt("Add a hat.")
    noise = editor.draw_noise((64, 64), torch.Generator().manual_seed(1))
    before = editor.attend(image, prompt, 0.99, noise, [0, 3])
    editor.rest()
    weights = editor._transformer.model.state_dict().values()
    assert all(weight.is_meta for weight in weights)
    assert torch.equal(editor.attend(image, prompt, 0.99, noise, [0, 3]), before)
