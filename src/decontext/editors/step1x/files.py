"""Where Step1X-Edit's parts lie, and loading them from there.

Two layouts are understood. The original release: one safetensors file for each version with
transformer and connector, `vae.safetensors`, and Qwen2.5-VL-7B-Instruct in a folder of its own
beside them. And diffusers' layout: subfolders `transformer`, `vae`, `text_encoder` and `processor`.
Either is a local folder or a repository of the hub; only safetensors are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from decontext.editors.step1x.weights import build_autoencoder, count_blocks
from decontext.editors.weights.configuration import LIBRARY_ERRORS, read_config, read_json
from decontext.editors.weights.loading import load_part, quiet
from decontext.editors.weights.shards import WeightFiles, open_file, open_part
from decontext.editors.weights.sources import HubSource, Source, open_source
from decontext.errors import EditorError
from decontext.machine import free_memory

LANGUAGE_MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
AUTOENCODER = "vae.safetensors"
PARTS = ("transformer", "vae", "text_encoder", "processor")
SCHEDULER = "scheduler"
TOGETHER_SHARE = 0.7
"""Of the free memory, which weights may take before the two models take turns."""

Reader = TypeVar("Reader")
"""Reads instructions: the text side of a version."""

_AGAIN = "copy or download the folder again"


@dataclass(frozen=True)
class Files:
    """The files of one version.

    Attributes:
        editor: what an error calls the editor.
        weights: transformer and connector, in either layout.
        autoencoder: `vae.safetensors`, or the folder of diffusers' layout.
        language: folder of Qwen2.5-VL.
        tokenizer: folder of its tokenizer.
    """

    editor: str
    weights: WeightFiles
    autoencoder: Path
    language: Path
    tokenizer: Path

    def count_blocks(self) -> tuple[int, int]:
        """How many double and single blocks the transformer has, from the names of its tensors."""
        return count_blocks(self.weights.names())

    def fit_together(self, device: torch.device) -> bool:
        """Whether transformer and language model can be in memory at the same time."""
        files = {self.weights.folder / place for place in self.weights.places.values()}
        size = sum(path.stat().st_size for path in (*files, *self._language_files()))
        # The published files hold bfloat16; a CPU computes with twice as many bytes.
        return size * (1 if device.type == "cuda" else 2) < TOGETHER_SHARE * free_memory(device)

    def load_text(
        self, device: torch.device, precision: str, build: Callable[[Any, Any], Reader]
    ) -> Reader:
        """What `build` makes of language model and tokenizer.

        Raises: EditorError, naming the part.
        """
        import transformers

        whole: Any = transformers.Qwen2_5_VLForConditionalGeneration
        read_config(self.editor, self.language.parent, self.language.name)
        with quiet(local=True):
            try:
                tokenizer = transformers.Qwen2Tokenizer.from_pretrained(self.tokenizer)
                model, report = whole.from_pretrained(
                    self.language,
                    dtype=self._text_dtype(device, precision),
                    use_safetensors=True,
                    output_loading_info=True,
                )
            except LIBRARY_ERRORS as error:
                raise self._damaged(self.language, str(error)) from error
        for kind in ("missing", "unexpected", "mismatched"):
            if names := sorted(map(str, report[f"{kind}_keys"])):
                raise self._damaged(self.language, f"{len(names)} {kind} weights: {names[0]}")
        # The last layer, from states to words, is not needed: the states are what is wanted.
        return build(model.model.to(device), tokenizer)

    def load_autoencoder(self, device: torch.device) -> Any:
        """The autoencoder, float32. Raises: EditorError naming file and tensor."""
        if not self.autoencoder.is_file():
            return load_part_strictly(self.editor, self.autoencoder).to(device)
        try:
            return build_autoencoder(_read(self.autoencoder)).to(device)
        except (EditorError, OSError, SafetensorError) as error:
            raise self._damaged(self.autoencoder, getattr(error, "message", str(error))) from error

    def _text_dtype(self, device: torch.device, precision: str) -> torch.dtype:
        """bfloat16, but on a CPU that has room for it what is most exact."""
        if device.type == "cuda" or precision not in ("float32", "auto"):
            return torch.bfloat16
        numbers = sum(
            math.prod(shape) for path in self._language_files() for shape in _shapes(path)
        )
        room = precision == "float32" or 4 * numbers < TOGETHER_SHARE * free_memory(device)
        return torch.float32 if room else torch.bfloat16

    def _language_files(self) -> Iterable[Path]:
        return sorted(self.language.glob("*.safetensors"))

    def _damaged(self, path: Path, reason: str) -> EditorError:
        return EditorError(f"{self.editor}: {path} is damaged or incomplete ({reason})", _AGAIN)


def find_files(
    editor: str, source: str | Path, file: str, *, cache: str | Path | None = None
) -> Files:
    """The files of a version in a folder, or in a repository of the hub.

    `file` is the name of the version's own file in the original release; without one there is
    only the layout of diffusers.

    Raises:
        EditorError: a file is missing, the message names it; or the hub is out of reach.
    """
    folder = Path(source).expanduser()
    if not file:
        return _find_parts(editor, open_source(editor, source, (*PARTS, SCHEDULER), cache))
    if (folder / "transformer").is_dir() or str(source).endswith("-diffusers"):
        return _find_parts(editor, open_source(editor, source, PARTS, cache))
    if folder.is_dir():
        for name in (file, AUTOENCODER):
            if not (folder / name).is_file():
                raise EditorError(f"{editor}: {name} is missing from {folder}", _AGAIN)
        language = next((p for p in sorted(folder.iterdir()) if _is_language_model(p)), None)
        if language is None:
            raise EditorError(
                f"{editor}: no folder with Qwen2.5-VL-7B-Instruct lies in {folder}",
                f"download {LANGUAGE_MODEL} into a folder there, or make a link to it",
            )
    else:
        names = (file, AUTOENCODER)
        found = open_source(editor, source, (), cache, marker=file, wanted=names)
        found.require(names)
        folder = found.folder
        language = _download_language_model(editor, cache)
    weights = open_file("the transformer", folder, file, lambda _: None)
    return Files(editor, weights, folder / AUTOENCODER, language, language)


def load_part_strictly(editor: str, folder: Path) -> Any:
    """The autoencoder of diffusers' layout. Raises: EditorError naming the part."""
    import diffusers

    kind: Any = diffusers.AutoencoderKL
    model = load_part(editor, folder.parent, folder.name, kind, dtype=torch.float32)
    held = open_part(folder.name, folder.parent, lambda _: None).names()
    if unknown := sorted(held - model.state_dict().keys()):
        raise EditorError(
            f"{editor}: {folder} holds, and must not hold, the tensor {unknown[0]}", _AGAIN
        )
    return model


def _find_parts(editor: str, source: Source) -> Files:
    weights = open_part("transformer", source.folder, source.require)
    for part in ("vae", "text_encoder"):
        open_part(part, source.folder, source.require).require_all()
    weights.require_all()
    folders = (source.folder / part for part in PARTS[1:])
    return Files(editor, weights, *folders)


def _download_language_model(editor: str, cache: str | Path | None) -> Path:
    source = HubSource(editor, LANGUAGE_MODEL, (), cache, marker="config.json")
    index = source.folder / "model.safetensors.index.json"
    names: Iterable[str] = ["model.safetensors"]
    if index.is_file():
        content: Mapping[str, Any] = read_json(index)
        names = dict.fromkeys(content["weight_map"].values())
    source.require(names)
    return source.folder


def _is_language_model(folder: Path) -> bool:
    config = folder / "config.json"
    if not config.is_file():
        return False
    try:
        content: Mapping[str, Any] = read_json(config)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == "qwen2_5_vl"


def _read(path: Path) -> dict[str, Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118


def _shapes(path: Path) -> list[tuple[int, ...]]:
    """Shapes of a file's tensors, from its header alone."""
    with safe_open(path, "pt") as file:
        return [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118
