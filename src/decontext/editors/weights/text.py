"""Text encoders: loaded when an instruction is new, and forgotten again if large.

Encoded instructions are kept in memory and, for editors that say so, on disk. The encoders run
through the ordinary pipeline's own code.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.editors.weights.configuration import read_json
from decontext.editors.weights.embeddings import EmbeddingCache, Key
from decontext.editors.weights.loading import quiet
from decontext.editors.weights.sources import Source
from decontext.machine import free_memory

PARTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")
RESIDENT_BELOW = 1024**3
"""Text encoders whose files take less than this stay in memory."""

LONGEST = 512
"""Text tokens of an ordinary edit."""

TOGETHER_SHARE = 0.7
"""Of the free memory, which a language model may take beside the transformer."""

SAMPLES, SAMPLE_BYTES = 16, 65_536
logger = logging.getLogger("decontext")


@dataclass(frozen=True)
class TextParts:
    """What encodes an instruction, and how.

    Attributes:
        names: of its parts, tokenizers and models.
        build: from these parts by name to the ordinary pipeline, which has no others.
        encode: from pipeline, instruction and number of tokens to tensors by name.
        tensors: the names of these.
    """

    names: tuple[str, ...]
    build: Callable[[dict[str, Any]], Any]
    encode: Callable[[Any, str, int], dict[str, Tensor]]
    tensors: frozenset[str]


class TextModels:
    """Parts that encode instructions: kept in memory while they are small, else loaded for a use.

    `load(part, dtype)` loads one of `names`, `build` makes of them the ordinary pipeline, which has
    no others. Large ones run in bfloat16, as in anyone's edit, small ones in float32.
    """

    def __init__(
        self,
        load: Callable[[str, torch.dtype], Any],
        source: Source,
        *,
        device: torch.device,
        names: tuple[str, ...],
        build: Callable[[dict[str, Any]], Any],
    ) -> None:
        self._load, self._source, self._device = load, source, device
        self._names, self._build = names, build
        self.is_small = total_bytes(source, names) < RESIDENT_BELOW
        self.dtype = torch.float32 if self.is_small else torch.bfloat16
        self.pipeline: Any = self._load_pipeline() if self.is_small else None

    def use(self, work: Callable[[Any], None]) -> None:
        """Do something with the pipeline; large ones are then forgotten. Raises: EditorError."""
        kept = self.pipeline is not None
        try:
            work(self.keep())
        finally:
            if not kept:
                self.pipeline = None
                gc.collect()  # modules and their parents refer to each other

    def keep(self) -> Any:
        """The pipeline, in memory from now on. Raises: EditorError."""
        self.pipeline = self.pipeline or self._load_pipeline()
        return self.pipeline

    def fits(self) -> bool:
        """Whether there is room for it beside what is in memory already."""
        if self.pipeline is not None:
            return True
        return total_bytes(self._source, self._names) < TOGETHER_SHARE * free_memory(self._device)

    def _load_pipeline(self) -> Any:
        """The ordinary pipeline with its text encoders only, where there is room for them."""
        self._source.require(_files(self._source, self._names, (".safetensors",)))
        parts = {part: self._load(part, self.dtype) for part in self._names}
        pipeline = self._build(parts)
        models = [part for part in parts.values() if isinstance(part, torch.nn.Module)]
        size = sum(w.nbytes for model in models for w in model.parameters())
        for model in models:
            model.requires_grad_(False).eval()
        return pipeline.to(self._device if size < 0.9 * free_memory(self._device) else "cpu")


class TextEncoder:
    """Instructions to embeddings, padded to `length` tokens.

    `load(part, dtype)` loads one of the `parts`, by default FLUX.1's. `cache` keeps what
    was encoded beyond this process. Large encoders run in bfloat16, as in anyone's edit, small ones
    in float32. One thread at a time encodes: tokenizers are not made for more.
    """

    def __init__(
        self,
        load: Callable[[str, torch.dtype], Any],
        source: Source,
        *,
        device: torch.device,
        length: int,
        cache: EmbeddingCache | None,
        parts: TextParts | None = None,
    ) -> None:
        self._source, self._parts = source, parts or FLUX
        self.length = length
        self._cache = cache
        self.models = TextModels(
            load, source, device=device, names=self._parts.names, build=self._parts.build
        )
        self._dtype = self.models.dtype
        self._known: dict[str, dict[str, Tensor]] = {}
        self._fingerprint = ""
        self._lock = threading.RLock()

    def encode(self, text: str) -> dict[str, Tensor]:
        """What the parts make of it, such as `embeddings` `(1, tokens, width)`, on the CPU."""
        self.prepare([text])
        return self._known[text]

    def prepare(self, texts: Iterable[str]) -> None:
        """Encode what is new; large encoders are forgotten afterwards. Raises: EditorError."""
        with self._lock:
            self._prepare(texts)

    def _prepare(self, texts: Iterable[str]) -> None:
        absent = [text for text in dict.fromkeys(texts) if not self._recall(text)]
        if not absent:
            return
        logger.info("encoding %d instructions", len(absent))

        def encode(pipeline: Any) -> None:
            for text in absent:
                self._known[text] = _encode(self._parts, pipeline, text, self.length, self._dtype)
                if self._cache is not None:
                    self._cache.write(self._key(text), self._known[text])

        self.models.use(encode)

    def is_known(self, texts: Iterable[str]) -> bool:
        """Whether no text encoder is needed for these."""
        with self._lock:
            return all(self._recall(text) for text in texts)

    def _recall(self, text: str) -> bool:
        if text not in self._known and self._cache is not None:
            found: Any = self._cache.read(self._key(text))
            if found is not None and set(found) == self._parts.tensors:
                self._known[text] = found
        return text in self._known

    def _key(self, text: str) -> Key:
        if not self._fingerprint:
            self._fingerprint = fingerprint(self._source, self._parts.names)
        dtype = str(self._dtype).removeprefix("torch.")
        return Key(self._fingerprint, dtype, self.length, text)


class ResidentText:
    """The same for a pipeline that holds its text encoders already."""

    def __init__(
        self, pipeline: Any, *, parts: TextParts | None = None, length: int | None = None
    ) -> None:
        self._pipeline, self._parts = pipeline, parts or FLUX
        self.length = length or _flux_length(pipeline)
        self._known: dict[str, dict[str, Tensor]] = {}
        self._lock = threading.RLock()

    def encode(self, text: str) -> dict[str, Tensor]:
        with self._lock:
            if text not in self._known:
                self._known[text] = _encode(
                    self._parts, self._pipeline, text, self.length, torch.float32
                )
            return self._known[text]

    def prepare(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.encode(text)


def text_length(longest: int) -> int:
    """Number of text tokens of a pass: always padded to the same, as in an ordinary edit."""
    return min(LONGEST, int(longest))


def _flux_length(pipeline: Any) -> int:
    tokenizer = pipeline.tokenizer_2  # some pipelines are given embeddings and have none
    return text_length(tokenizer.model_max_length if tokenizer else LONGEST)


def total_bytes(source: Source, parts: Iterable[str] = PARTS) -> int:
    """What the text encoders' files take, also of those that are not downloaded yet."""
    total = 0
    for part in parts:
        folder = source.folder / part
        total += sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        for index in folder.glob("*.safetensors.index.json"):
            total = max(total, int(_read_json(index).get("metadata", {}).get("total_size", 0)))
    return total


def fingerprint(source: Source, parts: Iterable[str] = PARTS) -> str:
    """Names the text encoders and tokenizers: by their revision, or by their files' content.

    Small files are read whole, weights in samples: another model differs everywhere.
    """
    import transformers

    digest = hashlib.sha256(transformers.__version__.encode())
    if source.revision:
        digest.update(f"{source.name}@{source.revision}".encode())
        return digest.hexdigest()[:32]
    for name in _files(source, parts, (".safetensors", ".json", ".txt", ".model", ".jinja")):
        path = source.folder / name
        digest.update(name.encode())
        if path.is_file():
            digest.update(_sample(path))
    return digest.hexdigest()[:32]


def _files(source: Source, parts: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    """Files of the text parts, relative to the source; of weights those that an index names."""
    names = set()
    for part in parts:
        folder = source.folder / part
        found = {path.name for path in folder.glob("*") if path.name.endswith(endings)}
        for index in folder.glob("model.safetensors.index.json"):
            if ".safetensors" in endings:
                found |= set(_read_json(index).get("weight_map", {}).values())
        if part.startswith("text_encoder") and not found and ".safetensors" in endings:
            found = {"model.safetensors"}
        names |= {f"{part}/{name}" for name in found}
    return sorted(names)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where it cannot be read: who loads the part says what is wrong."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _sample(path: Path) -> bytes:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= SAMPLES * SAMPLE_BYTES:
            digest.update(file.read())
        else:
            for number in range(SAMPLES):
                file.seek(number * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.digest()


@torch.no_grad()
def _encode(
    parts: TextParts, pipeline: Any, text: str, length: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    with quiet(local=True):  # that an instruction is cut would be remarked upon each time
        tensors = parts.encode(pipeline, text, length)
    return {name: tensor.to("cpu", dtype).contiguous() for name, tensor in tensors.items()}


def _build_flux(parts: dict[str, Any]) -> Any:
    import diffusers

    flux: Any = diffusers.FluxKontextPipeline
    return flux(**parts, scheduler=None, vae=None, transformer=None)


def _encode_flux(pipeline: Any, text: str, length: int) -> dict[str, Tensor]:
    embeddings, pooled, _ = pipeline.encode_prompt(
        prompt=text, prompt_2=None, max_sequence_length=length
    )
    return {"embeddings": embeddings, "pooled": pooled}


FLUX = TextParts(PARTS, _build_flux, _encode_flux, frozenset({"embeddings", "pooled"}))
"""Of FLUX.1: CLIP and T5."""
