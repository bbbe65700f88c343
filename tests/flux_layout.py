"""A small random model in exactly the folder layout of FLUX.1-Kontext-dev, to run everything on.

    python tests/flux_layout.py FOLDER

writes sharded weights with their indices in bfloat16, configurations with the published keys, both
tokenizers as the published files hold them, and the makers' own single file beside them.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tiny_models import TEXT_TOKENS, build_tiny_pipeline

from decontext.editors.weights.single_file import translate

SINGLE_FILE = "flux1-kontext-dev.safetensors"
SHARDS = 3


def save_flux_layout(folder: Path, *, sample_size: int = 1024, seed: int = 0) -> Path:
    """Write the model into `folder` and return it. `sample_size` 1024 is the published one."""
    pipeline = build_tiny_pipeline(seed=seed, sample_size=sample_size)
    models = ("transformer", "vae", "text_encoder", "text_encoder_2")
    for part in models:
        model = torch.nn.Module.to(getattr(pipeline, part), torch.bfloat16)
        size = sum(weight.nbytes for weight in model.parameters())
        shards = {"transformer": SHARDS, "text_encoder_2": 2}.get(part, 1)
        # A little above the share, as a shard is closed before it would grow too large.
        options = {} if shards == 1 else {"max_shard_size": int(size / shards * 1.15)}
        model.save_pretrained(folder / part, **options)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    _save_clip_tokenizer(folder / "tokenizer", pipeline.tokenizer)
    _save_t5_tokenizer(folder / "tokenizer_2", pipeline.tokenizer_2)
    index = {name: list(kind) for name, kind in pipeline.config.items() if isinstance(kind, tuple)}
    index |= {"tokenizer_2": ["transformers", "T5TokenizerFast"]}
    content = {"_class_name": "FluxKontextPipeline", "_diffusers_version": "0.34.0.dev0", **index}
    (folder / "model_index.json").write_text(json.dumps(content, indent=2))
    save_single_file(pipeline.transformer, folder / SINGLE_FILE)
    return folder


def save_single_file(transformer: Any, path: Path) -> None:
    """The transformer's weights under the names, and joined as, its makers publish them."""
    parts: dict[str, list[tuple[int, torch.Tensor]]] = {}
    for name, tensor in transformer.state_dict().items():
        their, rows = translate(name, transformer.inner_dim)
        if name.startswith("norm_out."):
            tensor = torch.cat(tensor.chunk(2)[::-1])
        parts.setdefault(their, []).append((rows.start if rows else 0, tensor))
    joined = {
        name: torch.cat([tensor for _, tensor in sorted(found, key=lambda item: item[0])])
        for name, found in parts.items()
    }
    save_file({name: tensor.contiguous() for name, tensor in joined.items()}, path)


def _save_clip_tokenizer(folder: Path, tokenizer: Any) -> None:
    folder.mkdir(parents=True)
    vocabulary = tokenizer.get_vocab()
    start, end = "<|startoftext|>", "<|endoftext|>"
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(vocabulary[token]): {
                "content": token,
                "lstrip": False,
                "normalized": token == start,
                "rstrip": False,
                "single_word": False,
                "special": True,
            }
            for token in (start, end)
        },
        "clean_up_tokenization_spaces": True,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": TEXT_TOKENS,
        "tokenizer_class": "CLIPTokenizer",
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _save_t5_tokenizer(folder: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(folder)
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "spiece.model").write_bytes(_piece_model(tokenizer))


def _piece_model(tokenizer: Any) -> bytes:
    """The vocabulary as sentencepiece's message holds it; the library reads tokenizer.json first.

    A message of pieces (field 1), each of text (field 1) and score (field 2).
    """
    content = b""
    for text in sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get):
        name = text.encode()
        piece = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", -2.0)
        content += b"\x0a" + bytes([len(piece)]) + piece
    return content


if __name__ == "__main__":
    print(save_flux_layout(Path(sys.argv[1])))
