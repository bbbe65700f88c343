"""Weights by name, read from disk tensor by tensor and only when they are asked for.

A model's folder holds one safetensors file, or several with an index that says which tensor lies
in which. Files are opened when the first of their tensors is wanted: what is never wanted need not
even be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from decontext.editors.weights.configuration import read_json
from decontext.editors.weights.tensors import TensorFile
from decontext.errors import EditorError

STEMS = ("diffusion_pytorch_model", "model")
Require = Callable[[Iterable[str]], None]
"""Makes sure that files, named relative to the source, are there; downloads or raises."""


class WeightFiles:
    """The tensors of one part of an editor.

    Attributes:
        part: what an error calls it.
        folder: the source's folder.
        places: name of each tensor to the file, relative to the source, that holds it.
    """

    def __init__(
        self, part: str, folder: Path, places: Mapping[str, str], require: Require
    ) -> None:
        self.part = part
        self.places = dict(places)
        self.folder = folder
        self._require = require
        self._open: dict[str, TensorFile] = {}

    def names(self) -> set[str]:
        """Names of all tensors that there are."""
        return set(self.places)

    def require(self, names: Iterable[str]) -> None:
        """Make sure that the files with these tensors are there. Raises: EditorError."""
        self._require(dict.fromkeys(self.places[name] for name in names))

    def require_all(self) -> None:
        """Make sure that every file is there. Raises: EditorError."""
        self._require(dict.fromkeys(self.places.values()))

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        """One tensor as it is stored, or some of its rows, on the CPU, in memory of its own.

        Raises:
            EditorError: its file is missing or damaged.
        """
        place = self.places[name]
        self._require([place])
        try:
            return self._file(place).read(name, rows)
        except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise self._damaged(place, error) from error

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one tensor, without reading it. Raises: EditorError, as `read`."""
        place = self.places[name]
        self._require([place])
        try:
            return self._file(place).shape(name)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise self._damaged(place, error) from error

    def check_files(self) -> None:
        """Open every file that is there: its length must be what its header says.

        Raises:
            EditorError: a file is cut off or no safetensors file, or lacks its tensors.
        """
        for place in dict.fromkeys(self.places.values()):
            if not (self.folder / place).is_file():
                continue
            try:
                held = self._file(place).names()
            except (SafetensorError, OSError, ValueError) as error:
                raise self._damaged(place, error) from error
            absent = sorted(
                name for name, file in self.places.items() if file == place and name not in held
            )
            if absent:
                raise self._damaged(place, f"{len(absent)} weights, the first {absent[0]}")

    def _file(self, place: str) -> TensorFile:
        if place not in self._open:
            self._open[place] = TensorFile(self.folder / place)
        return self._open[place]

    def _damaged(self, place: str, reason: object) -> EditorError:
        return EditorError(
            f"the part {self.part!r} of {self.folder} is damaged or incomplete ({place}: {reason})",
            "copy or download the folder again",
        )


def open_part(part: str, folder: Path, require: Require) -> WeightFiles:
    """The weights of the subfolder `part`; where there is an index, no weights have to be there.

    Raises:
        EditorError: there are neither weights nor an index, or the index cannot be read.
    """
    for stem in STEMS:
        index, single = f"{part}/{stem}.safetensors.index.json", f"{part}/{stem}.safetensors"
        if (folder / index).is_file():
            return WeightFiles(part, folder, _read_index(folder, part, index), require)
        if (folder / single).is_file():
            return open_file(part, folder, single, require)
    stem = STEMS[part.startswith("text_encoder")]
    require([f"{part}/{stem}.safetensors"])
    return open_file(part, folder, f"{part}/{stem}.safetensors", require)


def open_file(part: str, folder: Path, name: str, require: Require) -> WeightFiles:
    """The weights of one file. Raises: EditorError where it is damaged."""
    files = WeightFiles(part, folder, {}, require)
    try:
        files.places = dict.fromkeys(files._file(name).names(), name)
    except (SafetensorError, OSError, ValueError) as error:
        raise files._damaged(name, error) from error
    return files


def _read_index(folder: Path, part: str, index: str) -> dict[str, str]:
    try:
        content = read_json(folder / index)
        return {name: f"{part}/{file}" for name, file in content["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise EditorError(
            f"the part {part!r} of {folder} is damaged or incomplete ({index}: {error!r})",
            "copy or download the folder again",
        ) from error
