"""From the published files of Step1X-Edit to FLUX's transformer, the connector and the autoencoder.

Two layouts hold the same tensors: one file under the names of the original release, and a folder
in diffusers' layout whose names differ from FLUX's in eight tensors. Every size is read from the
tensors. Strict: a tensor too many or too few is an error that names it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from decontext.editors.step1x.connector import Connector
from decontext.editors.weights.shards import WeightFiles
from decontext.editors.weights.single_file import MARK, SingleFile, translate
from decontext.editors.weights.transformer import build_flux
from decontext.errors import EditorError

FULL_HEAD = 128
"""Width of a head of the published connector, 32 of them."""

SCALING_FACTOR, SHIFT_FACTOR = 0.3611, 0.1159
"""Of FLUX's autoencoder, which the published file holds."""

CONNECTOR = "connector."
MAPPING = "text_token_mapping."
REFINER = "connector.S.individual_token_refiner.blocks"

_RENAMED = {
    "time_text_embed.timestep_embedder.linear_1": "time_embed.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_embed.out_layer",
    "time_text_embed.text_embedder.linear_1": "vec_embed.in_layer",
    "time_text_embed.text_embedder.linear_2": "vec_embed.out_layer",
}
"""Layers of FLUX that the folder in diffusers' layout calls otherwise."""

_AGAIN = "copy or download it again"


class Renamed(WeightFiles):
    """The tensors of other files under other names: `theirs` says which is which."""

    def __init__(self, files: WeightFiles, theirs: Mapping[str, str]) -> None:
        self._files, self._theirs = files, theirs
        places = {name: files.places[their] for name, their in theirs.items()}
        super().__init__(files.part, files.folder, places, files._require)

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        return self._files.read(self._theirs[name], rows)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._files.shape(self._theirs[name])

    def check_files(self) -> None:
        self._files.check_files()


@dataclass(frozen=True)
class Layout:
    """What published files hold.

    Attributes:
        config: of diffusers' `FluxTransformer2DModel`.
        transformer: its tensors, under diffusers' names.
        empty_connector: the connector on the meta device.
        connector: its tensors.
        mapping: of the layer for quoted letters, where a version has it.
    """

    config: dict[str, Any]
    transformer: WeightFiles
    empty_connector: Connector
    connector: WeightFiles
    mapping: WeightFiles | None = None

    def load_mapping(self, device: torch.device) -> nn.Linear:
        """That layer over its tensors. Raises: EditorError, one is missing or of another shape."""
        files = self.mapping
        tensors = {} if files is None else {n: files.read(n).to(device) for n in files.names()}
        widths = self.empty_connector.S.input_embedder
        with torch.device("meta"):
            empty = nn.Linear(widths.in_features, widths.out_features)
        loaded: nn.Linear = load_strictly(empty, tensors, "the layer for quoted letters")
        return loaded

    def load_connector(self, device: torch.device, dtype: torch.dtype | None = None) -> Connector:
        """The connector over its tensors. Raises: EditorError, one has another shape."""
        tensors = {
            name: self.connector.read(name).to(device, dtype) for name in self.connector.names()
        }
        loaded: Connector = load_strictly(self.empty_connector, tensors, "the connector")
        return loaded


def read_layout(
    files: WeightFiles,
    *,
    scaled: bool,
    mapped: bool = False,
    rope: tuple[int, ...] | None = None,
    heads: int | None = None,
) -> Layout:
    """What the files of either layout hold, and that it is all of it and nothing else.

    `scaled` tells v1.0 from v1.1, see `Connector`; v1.2 is `mapped`. `rope` divides a head's width
    among the position axes, by default in FLUX's proportion 16 : 56 : 56; `heads` are the
    connector's.

    Raises:
        EditorError: a tensor is missing or unknown; the message names it.
    """
    held = files.names()
    original = MARK in held

    def shape(name: str) -> tuple[int, ...]:
        their = name
        if not name.startswith(CONNECTOR):
            their = translate(name, 0)[0] if original else _rename(name)
        if their not in held:
            raise EditorError(f"{files.part} of {files.folder} lacks the tensor {their}", _AGAIN)
        return files.shape(their)

    config = _read_config(shape, held, rope)
    connector = _empty_connector(shape, held, scaled=scaled, heads=heads)
    names = build_flux(config).state_dict().keys()
    width = config["attention_head_dim"] * config["num_attention_heads"]
    theirs = {name: translate(name, width)[0] if original else _rename(name) for name in names}
    beside = {name: CONNECTOR + name for name in connector.state_dict()}
    letters = {leaf: MAPPING + leaf for leaf in ("weight", "bias")} if mapped else {}
    _require_these(files, {*theirs.values(), *beside.values(), *letters.values()})
    transformer = SingleFile(files, "", names, width) if original else Renamed(files, theirs)
    mapping = Renamed(files, letters) if mapped else None
    return Layout(config, transformer, connector, Renamed(files, beside), mapping)


def count_blocks(names: Iterable[str]) -> tuple[int, int]:
    """How many double and single blocks there are, by the tensors' names in either layout."""
    found = list(names)
    double = (_count(found, "double_blocks"), _count(found, "transformer_blocks"))
    single = (_count(found, "single_blocks"), _count(found, "single_transformer_blocks"))
    return max(double), max(single)


def build_autoencoder(tensors: Mapping[str, Tensor]) -> Any:
    """An `AutoencoderKL` over the tensors of `vae.safetensors`, under their original names.

    Raises:
        EditorError: a tensor is missing, unknown or of another shape; the message names it.
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


def load_strictly(model: Any, tensors: Mapping[str, Tensor], part: str) -> Any:
    """Give a model on the meta device its tensors; none is copied.

    Raises:
        EditorError: a tensor is missing, unknown or of another shape; the message names it.
    """
    wanted = model.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - wanted.keys())
    wrong = [n for n in wanted if n in tensors and wanted[n].shape != tensors[n].shape]
    for names, what in (
        (missing, "lacks"),
        (unknown, "holds, and must not hold,"),
        (wrong, "holds in another shape"),
    ):
        _refuse(part, what, names)
    model.load_state_dict(dict(tensors), strict=True, assign=True)
    return model


def _read_config(shape: Any, held: Iterable[str], rope: tuple[int, ...] | None) -> dict[str, Any]:
    width, channels = shape("x_embedder.weight")
    (head,) = shape("single_transformer_blocks.0.attn.norm_q.weight")
    double, single = count_blocks(held)
    return {
        "in_channels": channels,
        "num_layers": double,
        "num_single_layers": single,
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shape("context_embedder.weight")[1],
        "pooled_projection_dim": shape("time_text_embed.text_embedder.linear_1.weight")[1],
        "guidance_embeds": False,
        "axes_dims_rope": rope or (head // 8, head // 16 * 7, head // 16 * 7),
    }


def _empty_connector(
    shape: Any, held: Iterable[str], *, scaled: bool, heads: int | None
) -> Connector:
    width, states_width = shape("connector.S.input_embedder.weight")
    with torch.device("meta"):
        return Connector(
            states_width,
            width,
            heads=heads or max(1, width // FULL_HEAD),
            depth=_count(held, REFINER),
            pooled=shape("connector.global_proj_out.weight")[0],
            scaled=scaled,
        )


def _rename(name: str) -> str:
    """The name of one of FLUX's tensors in the folder in diffusers' layout."""
    layer, _, leaf = name.rpartition(".")
    return f"{_RENAMED.get(layer, layer)}.{leaf}"


def _require_these(files: WeightFiles, wanted: set[str]) -> None:
    part = f"{files.part} of {files.folder}"
    _refuse(part, "lacks", sorted(wanted - files.names()))
    _refuse(part, "holds, and must not hold,", sorted(files.names() - wanted))


def _refuse(part: str, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise EditorError(f"{part} {what} the tensor {names[0]}{more}", _AGAIN)


def _count(names: Iterable[str], prefix: str) -> int:
    """How many numbered children a name has."""
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in names)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _shape(tensors: Mapping[str, Tensor], name: str, part: str) -> tuple[int, ...]:
    if name not in tensors:
        _refuse(part, "lacks", [name])
    return tuple(tensors[name].shape)
