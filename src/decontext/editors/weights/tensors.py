"""Tensors of a safetensors file, each read into memory of its own.

The library maps the whole file instead. What is mapped counts as the process's memory for as long
as it was ever looked at, and a streamed model looks at all of it.
"""

from __future__ import annotations

import json
import threading
import weakref
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class TensorFile:
    """A file that stays open; several threads may read from it.

    Raises:
        SafetensorError: it is no such file, or cut off.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt"):
            pass  # the library's own look at header and length
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)
        length = int.from_bytes(self._file.read(8), "little")
        self._header = json.loads(self._file.read(length))
        self._header.pop("__metadata__", None)
        self._start = 8 + length

    def names(self) -> set[str]:
        return set(self._header)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, from the header alone. Raises: KeyError."""
        return tuple(self._header[name]["shape"])

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        """A tensor, or some of its rows, on the CPU. Raises: KeyError, OSError."""
        entry = self._header[name]
        begin, end = entry["data_offsets"]
        shape, dtype = list(entry["shape"]), DTYPES[entry["dtype"]]
        if rows is not None:
            first, last, _ = rows.indices(shape[0])
            row = (end - begin) // max(shape[0], 1)
            begin, end, shape[0] = begin + first * row, begin + last * row, last - first
        content = torch.empty(end - begin, dtype=torch.uint8)
        view, done = memoryview(content.numpy()), 0  # type: ignore[arg-type]
        with self._lock:
            self._file.seek(self._start + begin)
            while done < len(view):
                read = self._file.readinto(view[done:])
                if not read:
                    raise OSError("the file ends too early")
                done += read
        return content.view(dtype).view(shape)
