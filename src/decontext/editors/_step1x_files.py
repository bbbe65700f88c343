"""Where Step1X-Edit's parts lie, and loading them from there.

Two layouts are understood. The original release: one safetensors file for each version with
transformer and connector, `vae.safetensors`, and Qwen2.5-VL-7B-Instruct in a folder of its own
beside them. And diffusers' layout: subfolders `transformer`, `vae`, `text_encoder` and `processor`.
Either is a local folder or a repository of the hub; only safetensors are read.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from decontext.editors._loading import quiet
from decontext.editors._step1x_connector import Connector
from decontext.editors._step1x_text import TextSide
from decontext.editors._step1x_weights import (
    build_autoencoder,
    build_connector,
    build_transformer,
    count_blocks,
    load_strictly,
    split_connector,
)
from decontext.errors import EditorError

LANGUAGE_MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
AUTOENCODER = "vae.safetensors"
TOGETHER_SHARE = 0.7
"""Of the free memory, which weights may take before the two models take turns."""

_AGAIN = "copy or download the folder again"


@dataclass(frozen=True)
class Files:
    """The files of one version.

    Attributes:
        editor: what an error calls the editor.
        scaled: whether the connector has v1.0's factor.
        transformer: safetensors with transformer and connector, in either layout.
        autoencoder: `vae.safetensors`, or a folder in diffusers' layout.
        language: folder of Qwen2.5-VL.
        tokenizer: folder of its tokenizer.
    """

    editor: str
    scaled: bool
    transformer: tuple[Path, ...]
    autoencoder: Path
    language: Path
    tokenizer: Path

    def count_blocks(self) -> tuple[int, int]:
        """How many double and single blocks the transformer has, from the names of its tensors."""
        return count_blocks(self._shapes(self.transformer))

    def count_bytes(self, dtype: torch.dtype) -> tuple[int, int]:
        """Memory of transformer and connector, and of the language model, in a precision."""
        body, text = (
            dtype.itemsize * sum(math.prod(shape) for shape in self._shapes(paths).values())
            for paths in (self.transformer, sorted(self.language.glob("*.safetensors")))
        )
        return body, text

    def fit_together(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether transformer and language model can be in memory at the same time."""
        return sum(self.count_bytes(dtype)) < TOGETHER_SHARE * free_memory(device)

    def load_body(self, device: torch.device, dtype: torch.dtype) -> tuple[Any, Connector, Any]:
        """Transformer, connector and autoencoder. Raises: EditorError naming file and tensor."""
        transformer, connector = split_connector(self._read(self.transformer, device, dtype))
        try:
            parts = build_transformer(transformer), build_connector(connector, scaled=self.scaled)
        except EditorError as error:
            raise self._damaged(self.transformer[0], error.message) from error
        return (*parts, self._load_autoencoder(device, dtype))

    def load_text(self, device: torch.device, dtype: torch.dtype) -> TextSide:
        """The language model and its tokenizer. Raises: EditorError naming the part."""
        import transformers

        whole: Any = transformers.Qwen2_5_VLForConditionalGeneration
        with quiet(local=True):
            try:
                tokenizer = transformers.Qwen2Tokenizer.from_pretrained(self.tokenizer)
                model, report = whole.from_pretrained(
                    self.language, dtype=dtype, use_safetensors=True, output_loading_info=True
                )
            except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
                raise self._damaged(self.language, str(error)) from error
        for kind in ("missing", "unexpected", "mismatched"):
            if names := sorted(map(str, report[f"{kind}_keys"])):
                raise self._damaged(self.language, f"{len(names)} {kind} weights: {names[0]}")
        # The last layer, from states to words, is not needed: the states are what is wanted.
        return TextSide(model.model.to(device), tokenizer)

    def _load_autoencoder(self, device: torch.device, dtype: torch.dtype) -> Any:
        if self.autoencoder.is_file():
            try:
                return build_autoencoder(self._read([self.autoencoder], device, dtype))
            except EditorError as error:
                raise self._damaged(self.autoencoder, error.message) from error
        import diffusers

        autoencoder: Any = diffusers.AutoencoderKL
        try:
            config = json.loads((self.autoencoder / "config.json").read_text(encoding="utf-8"))
            with torch.device("meta"):
                model = autoencoder.from_config(config)
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(self.autoencoder, str(error)) from error
        tensors = self._read(_safetensors(self.editor, self.autoencoder), device, dtype)
        try:
            return load_strictly(model, tensors, "the autoencoder")
        except EditorError as error:
            raise self._damaged(self.autoencoder, error.message) from error

    def _read(
        self, paths: Iterable[Path], device: torch.device, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for path in paths:
            try:
                with safe_open(path, "pt") as file:
                    for name in file.keys():  # noqa: SIM118
                        tensors[name] = file.get_tensor(name).to(device, dtype)
            except (OSError, SafetensorError) as error:
                raise self._damaged(path, str(error)) from error
        return tensors

    def _shapes(self, paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
        """Shapes by name, from the headers alone."""
        shapes: dict[str, tuple[int, ...]] = {}
        for path in paths:
            try:
                with safe_open(path, "pt") as file:
                    for name in file.keys():  # noqa: SIM118
                        shapes[name] = tuple(file.get_slice(name).get_shape())
            except (OSError, SafetensorError) as error:
                raise self._damaged(path, str(error)) from error
        return shapes

    def _damaged(self, path: Path, reason: str) -> EditorError:
        return EditorError(f"{self.editor}: {path} is damaged or incomplete ({reason})", _AGAIN)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def find_files(
    editor: str, source: str | Path, file: str, *, scaled: bool, cache: str | Path | None = None
) -> Files:
    """The files of a version in a folder, or in a repository of the hub.

    `file` is the name of the version's own file in the original release.

    Raises:
        EditorError: a file is missing, the message names it; or the hub is out of reach.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return _find_on_hub(editor, str(source), file, scaled, cache)
    if (folder / "transformer").is_dir():
        return Files(
            editor,
            scaled,
            _safetensors(editor, folder / "transformer"),
            _require(editor, folder / "vae"),
            _require(editor, folder / "text_encoder"),
            _require(editor, folder / "processor"),
        )
    language = next((path for path in sorted(folder.iterdir()) if _is_language_model(path)), None)
    found = _require(editor, folder / file), _require(editor, folder / AUTOENCODER)
    if language is None:
        raise EditorError(
            f"{editor}: no folder with Qwen2.5-VL-7B-Instruct lies in {folder}",
            f"download {LANGUAGE_MODEL} into a folder there, or make a link to it",
        )
    return Files(editor, scaled, (found[0],), found[1], language, language)


def _find_on_hub(
    editor: str, repository: str, file: str, scaled: bool, cache: str | Path | None
) -> Files:
    from huggingface_hub import hf_hub_download, snapshot_download

    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", repository):
        raise EditorError(
            f"{editor}: there is no folder {repository!r}",
            "give a folder with the editor's files or a hub id such as owner/name",
        )
    wanted = ["*.safetensors", "*.json", "*.txt"]
    try:
        if repository.endswith("-diffusers"):
            folders = snapshot_download(repository, allow_patterns=wanted, cache_dir=cache)
            return find_files(editor, folders, file, scaled=scaled)
        paths = [
            Path(hf_hub_download(repository, name, cache_dir=cache)) for name in (file, AUTOENCODER)
        ]
        language = Path(snapshot_download(LANGUAGE_MODEL, allow_patterns=wanted, cache_dir=cache))
    except (OSError, ValueError) as error:
        raise EditorError(
            f"{editor}: {repository} could not be had from the hub ({error})",
            "connect and try again, or give a local folder with --weights",
        ) from error
    return Files(editor, scaled, (paths[0],), paths[1], language, language)


def _is_language_model(folder: Path) -> bool:
    config = folder / "config.json"
    if not config.is_file():
        return False
    try:
        content: Mapping[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return content.get("model_type") == "qwen2_5_vl"


def _require(editor: str, path: Path) -> Path:
    if not path.exists():
        raise EditorError(f"{editor}: {path.name} is missing from {path.parent}", _AGAIN)
    return path


def _safetensors(editor: str, folder: Path) -> tuple[Path, ...]:
    found = tuple(sorted(_require(editor, folder).glob("*.safetensors")))
    if not found:
        raise EditorError(f"{editor}: no safetensors lie in {folder}", _AGAIN)
    return found
