"""Tensors read by ourselves: the library's values, in memory of the process's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from flux_layout import save_flux_layout
from safetensors import SafetensorError
from safetensors.torch import save_file

from decontext.editors import load_editor
from decontext.editors.weights.tensors import TensorFile

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.int8, torch.float8_e4m3fn)


def test_tensors_and_rows_are_those_of_the_file(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        str(dtype): torch.randn(5, 3, 2, generator=generator).mul(20).to(dtype) for dtype in DTYPES
    }
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "some.safetensors")
    file = TensorFile(tmp_path / "some.safetensors")
    assert file.names() == set(tensors)
    for name, tensor in tensors.items():
        assert file.shape(name) == tuple(tensor.shape)
        assert file.read(name).dtype == tensor.dtype
        assert torch.equal(file.read(name).float(), tensor.float())
    for name in map(str, DTYPES):
        for rows in (slice(1, 4), slice(3, None)):
            assert torch.equal(file.read(name, rows).float(), tensors[name].float()[rows])


def test_cut_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(100)}, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-4])
    with pytest.raises(SafetensorError):
        TensorFile(tmp_path / "a.safetensors")


@pytest.mark.parametrize("stream", [False, True])
def test_transformers_files_are_not_mapped_into_memory(tmp_path: Path, stream: bool) -> None:
    folder = save_flux_layout(tmp_path / "kontext", sample_size=64)
    editor = load_editor(
        "flux-kontext", source=folder, device="cpu", dtype="bfloat16", stream_weights=stream
    )
    image = torch.rand(1, 3, 64, 64).requires_grad_()
    noise = editor.draw_noise((64, 64), torch.Generator().manual_seed(0))
    editor.attend(image, editor.encode_prompt("smile"), 0.9, noise, (0, 3)).sum().backward()
    maps = Path("/proc/self/maps").read_text()
    assert str(folder / "transformer") not in maps
