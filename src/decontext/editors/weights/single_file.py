"""A FLUX transformer in one file, as its makers publish it, seen under diffusers' names.

Their layout joins query, key and value (and in single blocks the first MLP layer) into one matrix.
Each tensor of ours is a range of rows of one of theirs, so that a block is read by itself here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from decontext.editors.weights.shards import WeightFiles, open_file
from decontext.errors import EditorError

PREFIXES = ("model.diffusion_model.", "transformer.", "")
MARK, OUR_MARK = "double_blocks.0.img_attn.qkv.weight", "transformer_blocks.0.attn.to_q.weight"

SCALES = ("scale_weight", "weight_scale", "scaled_fp8", ".absmax", ".quant_map")
"""Endings of names in checkpoints that others have quantised with factors beside the weights."""

PLAIN = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
SINGLE = {
    "norm.linear": "modulation.lin",
    "proj_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
JOINED = {
    "attn.to_q": 0,
    "attn.to_k": 1,
    "attn.to_v": 2,
    "attn.add_q_proj": 0,
    "attn.add_k_proj": 1,
    "attn.add_v_proj": 2,
}


class SingleFile(WeightFiles):
    """Reads the makers' file under diffusers' names. `width` is that of the transformer."""

    def __init__(self, files: WeightFiles, prefix: str, names: Iterable[str], width: int) -> None:
        self._files, self._width = files, width
        self._theirs = {name: (prefix + their, rows) for name in names
                        for their, rows in [translate(name, width)]}  # fmt: skip
        place = next(iter(files.places.values()))
        held = files.names()
        places = {name: place for name, (their, _) in self._theirs.items() if their in held}
        super().__init__(files.part, files.folder, places, files._require)

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        their, own = self._theirs[name]
        if name.startswith("norm_out."):
            # Theirs gives shift, then scale; diffusers' layer expects scale, then shift.
            shift, scale = self._files.read(their).chunk(2)
            tensor = torch.cat([scale, shift])
        else:
            tensor = self._files.read(their, own)
        return tensor if rows is None else tensor[rows]

    def shape(self, name: str) -> tuple[int, ...]:
        their, rows = self._theirs[name]
        count, *others = self._files.shape(their)
        return (len(range(count)[rows]) if rows else count, *others)

    def check_files(self) -> None:
        self._files.check_files()


def open_single_file(path: Path, names: Iterable[str], width: int) -> WeightFiles:
    """A transformer's file in either layout, under the diffusers' names `names`.

    Raises:
        EditorError: the file is damaged, or holds no FLUX transformer.
    """
    files = open_file("transformer", path.parent, path.name, lambda _: None)
    held = files.names()
    scaled = sorted(name for name in held if name.endswith(SCALES))
    if scaled:
        raise EditorError(
            f"{path} holds weights that are scaled apart ({scaled[0]}), which are not understood",
            "give the checkpoint in bf16; --precision fp8 packs it while it is loaded",
        )
    for prefix in PREFIXES:
        if prefix + MARK in held:
            return SingleFile(files, prefix, names, width)
        if prefix + OUR_MARK in held and not prefix:
            return files
    raise EditorError(
        f"{path} holds no FLUX transformer: {MARK} is not in it",
        "give the transformer's own checkpoint, not that of a text encoder or autoencoder",
    )


def translate(name: str, width: int) -> tuple[str, slice | None]:
    """The makers' name of one of diffusers' tensors, and which of its rows (None: all)."""
    module, _, leaf = name.rpartition(".")
    match = re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.(.+)", module)
    if match is None:
        return f"{PLAIN[module]}.{leaf}", None
    single, number, layer = bool(match[1]), match[2], match[3]
    block = f"{'single' if single else 'double'}_blocks.{number}"
    if layer in JOINED:
        start = JOINED[layer] * width
        joined = "linear1" if single else f"{'txt' if '.add_' in layer else 'img'}_attn.qkv"
        return f"{block}.{joined}.{leaf}", slice(start, start + width)
    if single and layer == "proj_mlp":
        return f"{block}.linear1.{leaf}", slice(3 * width, None)
    their = (SINGLE if single else DOUBLE)[layer]
    return f"{block}.{their}.{'scale' if '.norm_' in layer else leaf}", None
