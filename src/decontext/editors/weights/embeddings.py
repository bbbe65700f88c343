"""Encoded instructions on disk, so that a text encoder is loaded once and not for every photo.

One safetensors file for each instruction, named after everything that its content depends on.
A file that cannot be read, or holds something else than its name says, counts as absent and is
written again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decontext.errors import InputError
from decontext.photo.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "decontext-embedding-1"
VARIABLE = "DECONTEXT_CACHE"


@dataclass(frozen=True)
class Key:
    """What an encoded instruction depends on.

    Attributes:
        encoder: fingerprint of the text encoders' and tokenizers' files.
        dtype: of the computation, such as "bfloat16".
        length: number of text tokens it is padded to.
        text: the instruction.
    """

    encoder: str
    dtype: str
    length: int
    text: str

    def metadata(self) -> dict[str, str]:
        """As a file carries it."""
        return {
            "format": FORMAT,
            "encoder": self.encoder,
            "dtype": self.dtype,
            "length": str(self.length),
            "text": self.text,
        }

    @property
    def file_name(self) -> str:
        content = json.dumps(self.metadata(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:40] + ".safetensors"


@dataclass(frozen=True)
class Entry:
    """A file of the cache; `text` and `encoder` are empty where it cannot be read."""

    path: Path
    size: int
    text: str = ""
    encoder: str = ""
    dtype: str = ""


def default_folder() -> Path:
    """Where encoded instructions are kept: DECONTEXT_CACHE, or the system's folder for caches."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser() / "text"
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "decontext" / "text"


class EmbeddingCache:
    """Encoded instructions in a folder that is made when the first of them is written."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def read(self, key: Key) -> dict[str, Tensor] | None:
        """The tensors by name, on the CPU; None where there are none for this key."""
        from safetensors import SafetensorError, safe_open

        path = self.folder / key.file_name
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                if file.metadata() != key.metadata():
                    return None
                # Copies: the file may be cleared while its content is in use.
                return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, RuntimeError):
            return None

    def write(self, key: Key, tensors: Mapping[str, Tensor]) -> None:
        """Keep the tensors, whole or not at all. Raises: InputError where that cannot be done."""
        from safetensors.torch import save

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the cache {self.folder} cannot be made ({error.strerror}).",
                f"Set {VARIABLE} to a folder that you may write to.",
            ) from error
        write_whole(save(dict(tensors), key.metadata()), self.folder / key.file_name)

    def entries(self) -> list[Entry]:
        """All files, by instruction."""
        paths = self.folder.glob("*.safetensors") if self.folder.is_dir() else ()
        return sorted((_describe(path) for path in paths), key=lambda e: (e.text, e.path.name))

    def clear(self) -> int:
        """Remove all files; returns how many bytes they took."""
        entries = self.entries()
        for entry in entries:
            entry.path.unlink(missing_ok=True)
        return sum(entry.size for entry in entries)


def _describe(path: Path) -> Entry:
    """From the header alone, which is read without torch."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 1_000_000)))
        known = header["__metadata__"]
        size = path.stat().st_size
        return Entry(path, size, known["text"], known["encoder"], known["dtype"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Entry(path, path.stat().st_size if path.exists() else 0)
