"""Configurations that ask for what no model has: refused in a sentence, at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save_tiny_pipeline

from decontext.attention import resolve_blocks
from decontext.editors import load_editor
from decontext.errors import EditorError, InputError

DEEP = "[" * 100_000 + "]" * 100_000
TRANSFORMER, VAE, TEXT = "transformer/config.json", "vae/config.json", "text_encoder_2/config.json"
TOKENS = "tokenizer_2/tokenizer_config.json"
SCHEDULER = "scheduler/scheduler_config.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_pipeline(tmp_path_factory.mktemp("absurd") / "tiny")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def use(folder: Path) -> None:
    editor: Any = load_editor("flux-kontext", source=folder, device="cpu")
    noise = editor.draw_noise(editor.working_size(64, 64), torch.Generator().manual_seed(0))
    editor.attend(torch.rand(1, 3, 64, 64), editor.encode_prompt("smile"), 0.9, noise, (0,))


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        (TRANSFORMER, "num_layers", 10**9),
        (TRANSFORMER, "num_single_layers", 10**6),
        (TRANSFORMER, "attention_head_dim", 10**18),
        (TRANSFORMER, "attention_head_dim", -1),
        (TRANSFORMER, "attention_head_dim", 0),
        (TRANSFORMER, "num_attention_heads", 2.5),
        (TRANSFORMER, "axes_dims_rope", "x"),
        (TRANSFORMER, "axes_dims_rope", []),
        (TRANSFORMER, "axes_dims_rope", [4, 6, 10**9]),
        (TRANSFORMER, "in_channels", {"a": 10**18}),
        (VAE, "scaling_factor", "x"),
        (VAE, "shift_factor", 1e309),
        (VAE, "sample_size", 10**18),
        (VAE, "block_out_channels", [10**9] * 4),
        (VAE, "layers_per_block", 10**9),
        (TEXT, "num_layers", 10**9),
        (TEXT, "d_model", -5),
        (TOKENS, "model_max_length", "x"),
    ],
)
def test_absurd_setting_is_refused(copied: Path, name: str, setting: str, value: Any) -> None:
    path = copied / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {setting: value}))
    with pytest.raises(EditorError, match=name.partition("/")[0]) as error:
        use(copied)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "name", [TRANSFORMER, VAE, TEXT, TOKENS, "scheduler/scheduler_config.json"]
)
@pytest.mark.parametrize("content", [DEEP, '{"a":' * 100_000 + "1" + "}" * 100_000, "[1]"])
def test_endless_nesting_is_refused(copied: Path, name: str, content: str) -> None:
    (copied / name).write_text(content)
    with pytest.raises(EditorError, match=name.partition("/")[0]):
        use(copied)


@pytest.mark.parametrize("name", ["single:" + 5000 * "9", "double:0-" + 5000 * "1"])
def test_number_of_a_block_with_thousands_of_digits_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no blocks are named"):
        resolve_blocks(name, 2, 3)
