"""FLUX.1-Kontext-dev's own folder layout, with a small random model in it: what is read when."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from flux_layout import SHARDS, SINGLE_FILE, save_flux_layout
from tiny_models import DOUBLE_BLOCKS, SINGLE_BLOCKS

from decontext.attention import resolve_blocks
from decontext.editors import load_editor
from decontext.editors.flux.loading import PARTS
from decontext.editors.weights import shards as _weights
from decontext.editors.weights import sources as _sources
from decontext.editors.weights import text as _text
from decontext.editors.weights.embeddings import EmbeddingCache
from decontext.editors.weights.single_file import open_single_file, translate
from decontext.editors.weights.sources import HubSource
from decontext.editors.weights.transformer import build_flux
from decontext.errors import EditorError, InputError

FIRST = (0,)
ALL = resolve_blocks("all", DOUBLE_BLOCKS, SINGLE_BLOCKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flux_layout(tmp_path_factory.mktemp("flux") / "kontext", sample_size=64)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def load(folder: Path, **options):
    return load_editor("flux-kontext", source=folder, device="cpu", **options)


def photo(width: int = 64, height: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def measure(editor, blocks=ALL) -> tuple[torch.Tensor, torch.Tensor]:
    """Proportions and the gradient to the pixels."""
    image = photo().requires_grad_()
    noise = editor.draw_noise(editor.working_size(64, 48), torch.Generator().manual_seed(1))
    measured = editor.attend(image, editor.encode_prompt("smile"), 0.99, noise, blocks)
    measured.sum().backward()
    return measured.detach(), image.grad


def test_layout_is_the_published_one(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    shard = "transformer/diffusion_pytorch_model-{:05d}-of-{:05d}.safetensors"
    assert {shard.format(i + 1, SHARDS) for i in range(SHARDS)} <= names
    assert names - {shard.format(i + 1, SHARDS) for i in range(SHARDS)} == {
        SINGLE_FILE,
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "text_encoder_2/config.json",
        "text_encoder_2/model-00001-of-00002.safetensors",
        "text_encoder_2/model-00002-of-00002.safetensors",
        "text_encoder_2/model.safetensors.index.json",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "tokenizer_2/special_tokens_map.json",
        "tokenizer_2/spiece.model",
        "tokenizer_2/tokenizer.json",
        "tokenizer_2/tokenizer_config.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors.index.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }


def test_blocks_after_the_last_wanted_one_are_never_read(folder: Path, monkeypatch) -> None:
    read: list[str] = []
    original = _weights.WeightFiles.read
    monkeypatch.setattr(
        _weights.WeightFiles, "read", lambda self, name: read.append(name) or original(self, name)
    )
    editor = load(folder)
    assert read == []
    measure(editor, FIRST)
    blocks = {".".join(name.split(".")[:2]) for name in read if "transformer_blocks" in name}
    assert blocks == {"transformer_blocks.0"}
    assert not any(name.startswith(("norm_out", "proj_out")) for name in read)
    measure(editor, ALL)
    assert len(read) == len(set(read))


def wanted_shards(folder: Path) -> set[str]:
    """Names of the transformer's files that a pass through the first block needs."""
    index = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    first = ("transformer_blocks.0.", "x_embedder", "context_embedder", "time_text_embed")
    return {place for name, place in places.items() if name.startswith(first)}


def test_run_needs_only_the_shards_of_its_blocks(copied: Path, folder: Path) -> None:
    shards = {path.name for path in (copied / "transformer").glob("*.safetensors")}
    others = sorted(shards - wanted_shards(copied))
    assert others
    for name in others:
        (copied / "transformer" / name).unlink()
    expected, gradient = measure(load(folder), FIRST)
    editor = load(copied)
    measured, same = measure(editor, FIRST)
    assert torch.equal(measured, expected) and torch.equal(same, gradient)
    with pytest.raises(EditorError) as error:
        measure(editor, ALL)
    assert "the part 'transformer'" in str(error.value)
    assert f"is incomplete: transformer/{others[0]} is missing" in str(error.value)
    with pytest.raises(EditorError, match=others[0]):
        editor.prepare(["smile"], ALL)


def test_shard_that_is_cut_off_is_named_at_once(copied: Path) -> None:
    shard = sorted((copied / "transformer").glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(EditorError, match=shard.name):
        load(copied)


def test_index_that_names_too_few_weights_is_refused(copied: Path) -> None:
    index = copied / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"].popitem()
    index.write_text(json.dumps(content))
    with pytest.raises(EditorError, match="the part 'transformer' of .*1 weights, the first"):
        load(copied)


def test_weights_of_another_width_are_refused(copied: Path) -> None:
    config = copied / "transformer" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"num_attention_heads": 3}))
    with pytest.raises(EditorError, match="the configuration says"):
        measure(load(copied), FIRST)


def test_single_file_gives_the_same_numbers(folder: Path) -> None:
    expected, gradient = measure(load(folder))
    measured, same = measure(load(folder / SINGLE_FILE))
    assert torch.equal(measured, expected) and torch.equal(same, gradient)


def test_single_file_takes_the_other_parts_from_another_folder(folder: Path, tmp_path) -> None:
    file = Path(shutil.copy(folder / SINGLE_FILE, tmp_path))
    expected, _ = measure(load(folder), FIRST)
    assert torch.equal(measure(load(file, parts=folder), FIRST)[0], expected)


def test_single_file_is_read_as_diffusers_converter_reads_it(tmp_path: Path) -> None:
    """That one knows FLUX's own width only: matrices of as many rows, of one column."""
    from diffusers.loaders import single_file_utils
    from safetensors.torch import save_file

    names = build_flux({"num_layers": 2, "num_single_layers": 2, "guidance_embeds": True})
    names, width = names.state_dict(), 3072
    rows = {"qkv": 3 * width, "linear1": 7 * width}
    generator = torch.Generator().manual_seed(0)
    theirs = {}
    for name in sorted({translate(name, width)[0] for name in names}):
        count = next((rows[kind] for kind in rows if kind in name), 2)
        theirs[name] = torch.randn(count, 1, generator=generator)
    save_file(theirs, tmp_path / "flux.safetensors")
    expected = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(theirs)
    files = open_single_file(tmp_path / "flux.safetensors", names, width)
    assert set(expected) == files.names() == set(names)
    for name in names:
        assert torch.equal(files.read(name), expected[name]), name


def test_checkpoint_in_plain_fp8_is_read_and_a_scaled_one_refused(folder, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / SINGLE_FILE)
    small = {
        name: tensor.to(torch.float8_e4m3fn) if tensor.ndim == 2 else tensor
        for name, tensor in weights.items()
    }
    save_file(small, tmp_path / "fp8.safetensors")
    results = [
        measure(load(tmp_path / "fp8.safetensors", parts=folder, stream_weights=stream), FIRST)
        for stream in (False, True)
    ]
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    torch.testing.assert_close(results[0][0], measure(load(folder), FIRST)[0], atol=3e-2, rtol=0)
    scaled = small | {"double_blocks.0.img_attn.qkv.scale_weight": torch.ones(1)}
    save_file(scaled, tmp_path / "scaled.safetensors")
    with pytest.raises(EditorError, match="scaled apart"):
        load(tmp_path / "scaled.safetensors", parts=folder)


def test_file_without_a_transformer_is_refused(folder: Path) -> None:
    with pytest.raises(EditorError, match="holds no FLUX transformer"):
        load(folder / "vae" / "diffusion_pytorch_model.safetensors", parts=folder)
    with pytest.raises(EditorError, match="there is no file"):
        load(folder / "nothing.safetensors")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Large text encoders and a cache of their own; what is loaded of them is written down."""
    seen: list[str] = []
    original = _text.TextModels._load_pipeline
    monkeypatch.setattr(_text, "RESIDENT_BELOW", 0)
    monkeypatch.setattr(
        _text.TextModels,
        "_load_pipeline",
        lambda self: seen.append("text encoders") or original(self),
    )
    monkeypatch.setenv("DECONTEXT_CACHE", str(tmp_path / "cache"))
    return seen


def test_second_run_never_loads_the_text_encoders(folder: Path, loads: list[str]) -> None:
    editor = load(folder)
    assert loads == []
    editor.prepare(["smile", "sit"], FIRST)
    first = editor.encode_prompt("smile").tensors
    assert loads == ["text encoders"] and editor._text.models.pipeline is None
    second = load(folder)
    second.prepare(["sit", "smile"], FIRST)
    again = second.encode_prompt("smile").tensors
    assert loads == ["text encoders"]
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["embeddings"].dtype == torch.bfloat16
    second.encode_prompt("stand")
    assert loads == ["text encoders"] * 2


def test_text_is_encoded_before_the_transformer_is_read(folder: Path, monkeypatch, loads) -> None:
    original = _weights.WeightFiles.read
    monkeypatch.setattr(
        _weights.WeightFiles,
        "read",
        lambda self, name: loads.append("weights") or original(self, name),
    )
    load(folder).prepare(["smile"], FIRST)
    assert loads[0] == "text encoders" and set(loads[1:]) == {"weights"}


def test_damaged_and_stale_entries_are_encoded_again(folder: Path, copied: Path, loads) -> None:
    load(folder).encode_prompt("smile")
    cache = load(folder)._text._cache
    (entry,) = cache.entries()
    content, key = entry.path.read_bytes(), load(folder)._text._key("smile")
    intact = cache.read(key)
    for damage in (content[:-20], b"", content.replace(b"smile", b"smirk")):
        entry.path.write_bytes(damage)
        before = len(loads)
        load(folder).encode_prompt("smile")
        assert len(loads) == before + 1
        read = EmbeddingCache().read(key)
        assert read is not None and torch.equal(read["pooled"], intact["pooled"])
    # Another model has entries of its own.
    config = copied / "text_encoder" / "config.json"
    config.write_text(config.read_text() + " ")
    load(copied).encode_prompt("smile")
    assert len(cache.entries()) == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_streamed_weights_give_the_same_numbers(folder: Path, precision: str) -> None:
    expected, gradient = measure(load(folder, dtype=precision))
    editor = load(folder, dtype=precision, stream_weights=True)
    measured, same = measure(editor)
    assert torch.equal(measured, expected) and torch.equal(same, gradient)
    blocks = editor._transformer.model.transformer_blocks
    assert editor._transformer.checkpointing and not list(blocks.parameters())
    assert torch.equal(
        editor.edit(photo(), "smile", steps=1),
        load(folder, dtype=precision).edit(photo(), "smile", steps=1),
    )


@pytest.mark.parametrize(("precision", "least"), [("int8", 0.99), ("fp8", 0.95), ("nf4", 0.85)])
def test_quantised_weights_point_the_gradient_the_same_way(folder, precision, least) -> None:
    expected, gradient = measure(load(folder, dtype="float32"))
    results = [measure(load(folder, dtype=precision, stream_weights=s)) for s in (False, True)]
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    measured, rough = results[0]
    torch.testing.assert_close(measured, expected, atol=3e-2, rtol=0)
    assert torch.nn.functional.cosine_similarity(rough.flatten(), gradient.flatten(), dim=0) > least


def test_quantised_runs_are_measured_in_the_best_precision(folder: Path) -> None:
    expected, _ = measure(load(folder, dtype="float32"))
    editor = load(folder, dtype="nf4")
    rough, _ = measure(editor)
    judge = editor.for_measuring()
    assert torch.equal(measure(judge)[0], expected) and not torch.equal(rough, expected)
    exact = load(folder, dtype="float32")
    assert exact.for_measuring() is exact


def test_choice_is_said_with_its_reason(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "decontext"):
        load(folder).prepare(["smile"], FIRST)
    assert "flux-kontext: float32: " in caplog.text
    assert "are free (the best precision fits)" in caplog.text


def test_too_little_memory_says_what_would_fit(folder: Path, monkeypatch) -> None:
    from decontext.editors.weights import transformer as _transformer

    monkeypatch.setattr(_transformer, "free_memory", lambda device: 1000)
    with pytest.raises(EditorError) as error:
        load(folder).prepare(["smile"], FIRST)
    assert "of memory are needed with --precision" in str(error.value)
    assert "--working-size 512, fewer --blocks" in error.value.hint
    with pytest.raises(EditorError, match="Try --stream-weights or --precision auto"):
        load(folder, dtype="float32").prepare(["smile"], FIRST)


def test_option_that_the_editor_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="kontext-mini has no option --stream-weights"):
        load_editor("kontext-mini", stream_weights=True)


# The hub, in its client's place.


class Hub:
    """What `huggingface_hub` does, for one repository that lies in a folder."""

    def __init__(self, monkeypatch, published: Path, cache: Path) -> None:
        import huggingface_hub

        self.published, self.snapshot = published, cache / "snapshots" / "0123abcd"
        self.downloads: list[str] = []
        self.error: Exception | None = None
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: self)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.download)
        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", self.find)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))

    def model_info(self, repository, **_options):
        from types import SimpleNamespace

        if self.error is not None:
            raise self.error
        files = [path for path in self.published.rglob("*") if path.is_file()]
        return SimpleNamespace(
            siblings=[
                SimpleNamespace(
                    rfilename=str(path.relative_to(self.published)), size=path.stat().st_size
                )
                for path in files
            ]
        )

    def download(self, repository, name, **_options):
        self.downloads.append(name)
        (self.snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.published / name, self.snapshot / name)

    def find(self, repository, name, **_options):
        path = self.snapshot / name
        return str(path) if path.exists() else None


@pytest.fixture
def hub(monkeypatch, folder: Path, tmp_path: Path) -> Hub:
    return Hub(monkeypatch, folder, tmp_path / "hub")


def test_only_what_is_needed_is_downloaded_and_said(hub: Hub, loads, caplog) -> None:
    editor = load("owner/kontext")
    assert not any("transformer/diff" in name or "text" in name for name in hub.downloads
                   if name.endswith(".safetensors"))  # fmt: skip
    editor.prepare(["smile"], FIRST)
    shards = [name for name in hub.downloads if name.startswith("transformer/diff")]
    assert sorted(name for name in shards if name.endswith("rs")) == [
        f"transformer/{name}" for name in sorted(wanted_shards(hub.published))
    ]
    assert "downloading" in caplog.text and "(3 files) of owner/kontext to" in caplog.text
    assert SINGLE_FILE not in hub.downloads
    # What is there is used without asking.
    hub.error, count = RuntimeError("asked"), len(hub.downloads)
    again = load("owner/kontext")
    again.prepare(["smile"], FIRST)
    assert len(hub.downloads) == count and loads == ["text encoders"]


def _hub_error(name: str) -> Exception:
    import httpx2
    from huggingface_hub import errors

    request = httpx2.Request("GET", "https://huggingface.co")
    response = httpx2.Response(401, request=request)
    kind = getattr(errors, name)
    return kind("no", response=response) if "Repo" in name else kind("no")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("GatedRepoError", "its licence was not accepted, or you are not", "huggingface-cli login"),
        ("RepositoryNotFoundError", "the hub knows no owner/kontext", "huggingface-cli login"),
        ("OfflineModeIsEnabled", "the hub is out of reach", "give a local folder with --weights"),
    ],
)
def test_hub_that_gives_nothing_says_what_to_do(hub: Hub, name, message, hint) -> None:
    hub.error = _hub_error(name)
    with pytest.raises(EditorError) as error:
        load("owner/kontext")
    assert message in error.value.message and hint in error.value.hint
    if name == "GatedRepoError":
        assert "visit https://huggingface.co/owner/kontext" in error.value.hint


def test_too_little_disk_is_said_before_downloading(hub: Hub, monkeypatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "free")(10)
    monkeypatch.setattr(_sources.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(EditorError, match="have to be downloaded to .*; 1 MB of the disk are free"):
        load("owner/kontext")
    assert hub.downloads == []


def test_repository_without_a_pipeline_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.published = tmp_path / "empty"
    hub.published.mkdir()
    with pytest.raises(EditorError, match="does not hold this editor: it has no model_index.json"):
        HubSource("flux-kontext", "owner/kontext", PARTS)


def test_weights_are_opened_lazily(folder: Path, monkeypatch) -> None:
    """Header checks aside, no file is opened before a tensor of it is wanted."""
    opened: list[str] = []
    original = _weights.TensorFile
    monkeypatch.setattr(
        _weights, "TensorFile", lambda path: opened.append(path.name) or original(path)
    )
    editor = load(folder)
    before = list(opened)
    measure(editor, FIRST)
    assert opened == before
