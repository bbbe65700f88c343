"""From the published files of Step1X-Edit to FLUX's transformer, the connector and the autoencoder.

Two layouts hold the same tensors: single files under the names of the original release, and a
folder in diffusers' layout whose names differ from FLUX's in eight tensors. Every size is read
from the tensors. Strict: a tensor too many or too few is an error that names it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from decontext.editors._step1x_connector import Connector
from decontext.errors import EditorError

FULL_HEAD = 128
"""Width of a head of the published connector, 32 of them."""

SCALING_FACTOR, SHIFT_FACTOR = 0.3611, 0.1159
"""Of FLUX's autoencoder, which the published file holds."""

_RENAMED_IN_DIFFUSERS = {
    "time_embed.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_embed.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vec_embed.in_layer": "time_text_embed.text_embedder.linear_1",
    "vec_embed.out_layer": "time_text_embed.text_embedder.linear_2",
}

_RENAMED_IN_ORIGINAL = {
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "txt_in": "context_embedder",
    "img_in": "x_embedder",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}

_RENAMED_IN_DOUBLE_BLOCK = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
}

_RENAMED_IN_SINGLE_BLOCK = {
    "modulation.lin": "norm.linear",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "linear2": "proj_out",
}

_SPLIT = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}


def split_connector(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of the transformer, under diffusers' names for FLUX, and of the connector.

    `tensors` has the names of either layout. A name of neither stays as it is, so that the
    strict loading afterwards names it.
    """
    connector: dict[str, Tensor] = {}
    transformer: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("connector."):
            connector[name.removeprefix("connector.")] = tensor
        else:
            transformer |= _rename(name, tensor)
    return transformer, connector


def count_blocks(names: Iterable[str]) -> tuple[int, int]:
    """How many double and single blocks there are, by the tensors' names in either layout."""
    found = list(names)
    single = (_count(found, "single_blocks"), _count(found, "single_transformer_blocks"))
    double = (_count(found, "double_blocks"), _count(found, "transformer_blocks"))
    return max(double), max(single)


def build_transformer(tensors: Mapping[str, Tensor], *, rope: tuple[int, ...] | None = None) -> Any:
    """A `FluxTransformer2DModel` over tensors under diffusers' names, which it keeps as they are.

    `rope` divides a head's width among the position axes; by default in FLUX's proportion,
    16 : 56 : 56.

    Raises:
        EditorError: a tensor is missing, unknown or of another shape; the message names it.
    """
    import diffusers

    flux: Any = diffusers.FluxTransformer2DModel
    part = "the transformer"
    width, channels = _shape(tensors, "x_embedder.weight", part)
    (head,) = _shape(tensors, "single_transformer_blocks.0.attn.norm_q.weight", part)
    with torch.device("meta"):
        model = flux(
            in_channels=channels,
            num_layers=_count(tensors, "transformer_blocks"),
            num_single_layers=_count(tensors, "single_transformer_blocks"),
            attention_head_dim=head,
            num_attention_heads=width // head,
            joint_attention_dim=_shape(tensors, "context_embedder.weight", part)[1],
            pooled_projection_dim=_shape(
                tensors, "time_text_embed.text_embedder.linear_1.weight", part
            )[1],
            guidance_embeds=False,
            axes_dims_rope=rope or (head // 8, head // 16 * 7, head // 16 * 7),
        )
    return load_strictly(model, tensors, part)


def build_connector(
    tensors: Mapping[str, Tensor], *, scaled: bool, heads: int | None = None
) -> Connector:
    """The connector over its tensors, names without `connector.`; by default heads of 128.

    `scaled` tells v1.0 from v1.1, see `Connector`.

    Raises: as `build_transformer`.
    """
    part = "the connector"
    width, states_width = _shape(tensors, "S.input_embedder.weight", part)
    with torch.device("meta"):
        model = Connector(
            states_width,
            width,
            heads=heads or max(1, width // FULL_HEAD),
            depth=_count(tensors, "S.individual_token_refiner.blocks"),
            pooled=_shape(tensors, "global_proj_out.weight", part)[0],
            scaled=scaled,
        )
    loaded: Connector = load_strictly(model, tensors, part)
    return loaded


def build_autoencoder(tensors: Mapping[str, Tensor]) -> Any:
    """An `AutoencoderKL` over the tensors of `vae.safetensors`, under their original names.

    Raises: as `build_transformer`.
    """
    import diffusers
    from diffusers.loaders import single_file_utils

    autoencoder: Any = diffusers.AutoencoderKL
    convert: Any = single_file_utils.convert_ldm_vae_checkpoint
    part = "the autoencoder"
    levels = _count(tensors, "encoder.down")
    widths = tuple(
        _shape(tensors, f"encoder.down.{level}.block.0.conv1.weight", part)[0]
        for level in range(levels)
    )
    config = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": widths,
        "layers_per_block": _count(tensors, "encoder.down.0.block"),
        "latent_channels": _shape(tensors, "decoder.conv_in.weight", part)[1],
        "norm_num_groups": math.gcd(32, *widths),
        "scaling_factor": SCALING_FACTOR,
        "shift_factor": SHIFT_FACTOR,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }
    with torch.device("meta"):
        model = autoencoder(**config)
    converted = convert(dict(tensors), config)
    # The converter drops what it does not know: that must not stay unsaid.
    kept = {tensor.untyped_storage()._cdata for tensor in converted.values()}
    for name, tensor in tensors.items():
        if tensor.untyped_storage()._cdata not in kept:
            raise EditorError(f"{part} holds, and must not hold, the tensor {name}", _AGAIN)
    return load_strictly(model, converted, part)


_AGAIN = "copy or download the file again"


def _rename(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """One tensor under diffusers' name for it, or its parts where diffusers splits it."""
    match = re.fullmatch(r"(?:(double|single)_blocks\.(\d+)\.)?(.+)\.(weight|bias|scale)", name)
    if match is None:
        return {name: tensor}
    kind, number, layer, last = match.groups()
    last = "weight" if last == "scale" else last
    if kind is None:
        names = _RENAMED_IN_ORIGINAL | _RENAMED_IN_DIFFUSERS
        if layer == "final_layer.adaLN_modulation.1":
            # diffusers has scale before shift, the original the other way round.
            tensor = torch.cat(tensor.chunk(2)[::-1])
        return {f"{names[layer]}.{last}": tensor} if layer in names else {name: tensor}
    prefix = f"{'single_' if kind == 'single' else ''}transformer_blocks.{number}"
    if layer in _SPLIT:
        return {
            f"{prefix}.{part}.{last}": piece
            for part, piece in zip(_SPLIT[layer], _split(tensor, len(_SPLIT[layer])), strict=True)
        }
    names = _RENAMED_IN_SINGLE_BLOCK if kind == "single" else _RENAMED_IN_DOUBLE_BLOCK
    return {f"{prefix}.{names[layer]}.{last}": tensor} if layer in names else {name: tensor}


def _split(tensor: Tensor, pieces: int) -> tuple[Tensor, ...]:
    """Query, key and value, each as wide as the model; a fourth piece is four times as wide."""
    width = tensor.shape[0] // (3 if pieces == 3 else 7)
    return torch.split(tensor, [width] * 3 + [4 * width] * (pieces - 3))


def _count(names: Iterable[str], prefix: str) -> int:
    """How many numbered children a name has."""
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in names)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _shape(tensors: Mapping[str, Tensor], name: str, part: str) -> tuple[int, ...]:
    if name not in tensors:
        raise EditorError(f"{part} lacks the tensor {name}", _AGAIN)
    return tuple(tensors[name].shape)


def load_strictly(model: Any, tensors: Mapping[str, Tensor], part: str) -> Any:
    """Give a model on the meta device its tensors; none is copied."""
    wanted = model.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - wanted.keys())
    wrong = [n for n in wanted if n in tensors and wanted[n].shape != tensors[n].shape]
    for names, what in (
        (missing, "lacks"),
        (unknown, "holds, and must not hold,"),
        (wrong, "holds in another shape"),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise EditorError(f"{part} {what} the tensor {names[0]}{more}", _AGAIN)
    model.load_state_dict(dict(tensors), strict=True, assign=True)
    return model
