"""From a folder, a hub id or a single file to the parts of a FluxKontextPipeline.

What is small is loaded at once; the transformer and large text encoders are opened, checked, and
read when they are first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from decontext.editors.weights.configuration import read_config
from decontext.editors.weights.embeddings import EmbeddingCache
from decontext.editors.weights.loading import choose_device, choose_precision, load_part, quiet
from decontext.editors.weights.plan import Dimensions
from decontext.editors.weights.shards import WeightFiles, open_part
from decontext.editors.weights.single_file import open_single_file
from decontext.editors.weights.sources import Source, open_source
from decontext.editors.weights.text import LONGEST, TextEncoder, text_length
from decontext.editors.weights.text import PARTS as TEXT_PARTS
from decontext.editors.weights.transformer import LoadedTransformer, build_flux
from decontext.errors import EditorError

PARTS = ("scheduler", *TEXT_PARTS, "vae", "transformer")


@dataclass(frozen=True)
class FluxParts:
    """What an editor is made of; the pipeline lacks its text encoders."""

    pipeline: Any
    text: TextEncoder
    transformer: LoadedTransformer


def open_parts(
    editor: str,
    source: str | Path,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    parts: str | Path,
    stream_weights: bool,
    keep_embeddings: bool,
) -> FluxParts:
    """Open every part, load the small ones.

    `parts` is where everything but the transformer comes from, should `source` be a single file.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    with quiet(local=True):  # already at their import they make remarks
        pipeline_kind = _pipeline_kind()
    place = choose_device(device)
    precision = choose_precision(dtype, place)
    file = Path(source).expanduser()
    single = file if file.suffix == ".safetensors" else None
    if single is not None and not single.is_file():
        raise EditorError(f"{editor}: there is no file {single}", "give a file that is there")
    if single is not None:
        beside = single.parent if (single.parent / "vae").is_dir() else None
        source = beside or parts
    found = open_source(editor, source, PARTS, cache)
    config = read_config(editor, found.folder, "transformer")
    transformer = LoadedTransformer(
        config,
        _open_weights(found, single, config),
        editor=editor,
        device=place,
        precision=precision,
        stream=stream_weights,
    )
    open_part("vae", found.folder, found.require).require_all()
    load = partial(_load, editor, found)
    vae = load("vae", torch.float32).to(place)
    length = read_config(editor, found.folder, "tokenizer_2", "tokenizer_config.json").get(
        "model_max_length"
    )
    text = TextEncoder(
        load,
        found,
        device=place,
        length=text_length(length or LONGEST),
        cache=EmbeddingCache() if keep_embeddings else None,
    )
    pipeline = pipeline_kind(
        scheduler=load("scheduler", torch.float32),
        vae=vae,
        transformer=transformer.model,
        **dict.fromkeys(TEXT_PARTS),
    )
    return FluxParts(pipeline, text, transformer)


def _pipeline_kind() -> Any:
    import diffusers

    return diffusers.FluxKontextPipeline


def _load(editor: str, source: Source, part: str, dtype: torch.dtype) -> Any:
    """One part, whole, by the class that the ordinary pipeline has for it."""
    import diffusers
    import transformers

    kind: Any = {
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler,
        "tokenizer": transformers.CLIPTokenizer,
        "tokenizer_2": transformers.T5Tokenizer,
        "text_encoder": transformers.CLIPTextModel,
        "text_encoder_2": transformers.T5EncoderModel,
        "vae": diffusers.AutoencoderKL,
    }[part]
    return load_part(editor, source.folder, part, kind, dtype=dtype)


def _open_weights(source: Source, single: Path | None, config: dict[str, Any]) -> WeightFiles:
    if single is None:
        return open_part("transformer", source.folder, source.require)
    names = build_flux(config).state_dict()
    return open_single_file(single, names, Dimensions.from_config(config).width)
