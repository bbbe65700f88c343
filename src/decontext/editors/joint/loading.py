"""From a folder or a hub id in diffusers' layout to the parts of an editor's pipeline.

What is small is loaded at once; the transformer and large text encoders are opened, checked, and
read when they are first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from decontext.editors.language import processor
from decontext.editors.weights.configuration import read_config
from decontext.editors.weights.loading import choose_device, choose_precision, load_part
from decontext.editors.weights.shards import WeightFiles, open_part
from decontext.editors.weights.sources import INDEX, Source, open_source
from decontext.editors.weights.transformer import LoadedTransformer, build_transformer
from decontext.errors import EditorError

Load = Callable[[str, torch.dtype], Any]
"""Loads a part by its name, models in a precision."""


@dataclass(frozen=True)
class Recipe:
    """What a pipeline is made of, by the names that its folder has.

    Attributes:
        pipeline: diffusers' class.
        classes: of every part: library and class; "decontext" has a `Processor`.
        text: those parts that encode instructions.
        settings: entries of `model_index.json` that the pipeline is given.
        small: parts, of those that encode instructions, that the pipeline is made with.
        empty: builds the transformer without memory from its configuration; by default as its
            class does it.
    """

    pipeline: str
    classes: Mapping[str, tuple[str, str]]
    text: tuple[str, ...]
    settings: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    empty: Callable[[Mapping[str, Any]], Any] | None = None

    def build(self, parts: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Any:
        """The pipeline with these parts; others are left out."""
        import diffusers

        kind: Any = getattr(diffusers, self.pipeline)
        return kind(**dict.fromkeys(self.classes) | dict(parts), **(settings or {}))


@dataclass(frozen=True)
class Opened:
    """What an editor is made of; the pipeline lacks its text encoders, which `load` loads."""

    pipeline: Any
    transformer: LoadedTransformer
    source: Source
    load: Load
    device: torch.device


def open_pipeline(
    editor: str,
    source: str | Path,
    recipe: Recipe,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    stream_weights: bool,
) -> Opened:
    """Open every part, load the small ones.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    place = choose_device(device)
    precision = choose_precision(dtype, place)
    found = open_source(editor, source, tuple(recipe.classes), cache)
    _, kind = recipe.classes["transformer"]
    weights = open_part("transformer", found.folder, found.require)
    transformer = LoadedTransformer(
        read_config(editor, found.folder, "transformer"),
        weights,
        editor=editor,
        device=place,
        precision=precision,
        stream=stream_weights,
        build=recipe.empty or partial(build_transformer, kind),
    )
    autoencoder = open_part("vae", found.folder, found.require)
    autoencoder.require_all()
    load = partial(_load, editor, found, recipe)
    index = read_config(editor, found.folder, "", INDEX)
    _require_kind(editor, found, recipe, index)
    vae = load("vae", torch.float32).to(place)
    for model, files in ((transformer.model, weights), (vae, autoencoder)):
        _require_known(editor, model, files)
    pipeline = recipe.build(
        {
            "scheduler": load("scheduler", torch.float32),
            "vae": vae,
            "transformer": transformer.model,
            **{part: load(part, torch.float32) for part in recipe.small},
        },
        {name: index[name] for name in recipe.settings if name in index},
    )
    return Opened(pipeline, transformer, found, load, place)


def _require_known(editor: str, model: Any, files: WeightFiles) -> None:
    """Raises: EditorError, there is a tensor that the model has no place for."""
    unknown = sorted(files.names() - model.state_dict().keys())
    if unknown:
        raise EditorError(
            f"{editor}: the part {files.part!r} of {files.folder} holds, and must not hold, the "
            f"tensor {unknown[0]}",
            "copy or download the folder again, or name the editor that these weights belong to",
        )


def _require_kind(editor: str, source: Source, recipe: Recipe, index: Mapping[str, Any]) -> None:
    """Raises: EditorError, these weights are those of another pipeline."""
    named = index.get("_class_name", recipe.pipeline)
    if named != recipe.pipeline:
        raise EditorError(
            f"{editor}: {source.folder} holds a {str(named)[:60]}; it must hold a "
            f"{recipe.pipeline}",
            "name the editor that these weights belong to; 'decontext editors' lists them",
        )


def _load(editor: str, source: Source, recipe: Recipe, part: str, dtype: torch.dtype) -> Any:
    """One part, whole, by the class that the ordinary pipeline has for it."""
    import diffusers
    import transformers

    library, name = recipe.classes[part]
    libraries = {"diffusers": diffusers, "transformers": transformers, "decontext": processor}
    kind: Any = getattr(libraries[library], name)
    return load_part(editor, source.folder, part, kind, dtype=dtype)
