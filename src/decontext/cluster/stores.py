"""Files in object stores and folders, by one name: `s3://`, `gs://`, what fsspec knows, or a path.

An object is read and written whole; stores give it its name when all of it is there, and folders
get it through an unfinished file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from decontext.errors import DecontextError, InputError
from decontext.photo.files import make_folder, write_whole

SCHEME = "://"


@dataclass(frozen=True)
class Place:
    """A folder, here or in a store, under which files have names with `/`.

    Attributes:
        root: path or URI without a `/` at its end.
        query: options of the store, as `endpoint_override=localhost:9000`; see pyarrow's
            `FileSystem.from_uri`.
    """

    root: str
    query: str = ""

    @classmethod
    def of(cls, name: str | Path) -> Place:
        """The place that somebody names."""
        text = str(name)
        if not is_uri(text):
            return cls(os.path.abspath(text))
        text, _, query = text.partition("?")
        if text.startswith("file://"):
            return cls(os.path.abspath(text.removeprefix("file://")))
        return cls(text.rstrip("/"), query)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder that workers reach by its path."""
        return not is_uri(self.root)

    @property
    def path(self) -> Path:
        """The folder. Raises: InputError: it is in a store."""
        if not self.is_local:
            raise InputError(f"{self.root} is no folder of this machine.")
        return Path(self.root)

    def file(self, name: str) -> str:
        """What a file below this place is called."""
        return f"{self.root}/{name}" + (f"?{self.query}" if self.query else "")


def is_uri(name: str) -> bool:
    """Whether this names something in a store, and is no path."""
    scheme, separator, _ = name.partition(SCHEME)
    return bool(separator) and scheme.isascii() and scheme.replace("+", "").isalnum()


def read(name: str) -> bytes | None:
    """A file's content; None where there is no such file.

    Raises:
        InputError: it cannot be read for another reason.
    """
    with _explained(name, "read"):
        if not is_uri(name):
            try:
                return Path(name).read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None
        system, path = _open(name)
        try:
            with system.open_input_stream(path) as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None


def write(name: str, content: bytes) -> None:
    """Write a file whole. Raises: InputError: it cannot be written."""
    if not is_uri(name):
        make_folder(Path(name).parent)
        write_whole(content, name)
        return
    with _explained(name, "written"):
        system, path = _open(name)
        with system.open_output_stream(path) as file:
            file.write(content)


def delete(name: str) -> None:
    """Remove a file that may be missing. Raises: InputError."""
    with _explained(name, "removed"):
        if not is_uri(name):
            Path(name).unlink(missing_ok=True)
            return
        system, path = _open(name)
        try:
            system.delete_file(path)
        except FileNotFoundError:
            pass


def exists(name: str) -> bool:
    """Whether there is such a file. Raises: InputError: that cannot be found out."""
    if not is_uri(name):
        return os.path.lexists(name)
    from pyarrow.fs import FileType

    with _explained(name, "looked up"):
        system, path = _open(name)
        return bool(system.get_file_info(path).type == FileType.File)


def walk(place: Place, *, recursive: bool) -> Iterator[str]:
    """Names of the files below a place of a store, in order; none where there is no such place.

    Raises:
        InputError: the store cannot be reached.
    """
    from pyarrow.fs import FileSelector, FileType

    with _explained(place.root, "listed"):
        system, path = _open(place.file("").rstrip("/"))
        base = PurePosixPath(path)
        found = system.get_file_info(FileSelector(path, recursive=recursive, allow_not_found=True))
        files = [info.path for info in found if info.type == FileType.File]
    yield from sorted(str(PurePosixPath(file).relative_to(base)) for file in files)


def _open(name: str) -> tuple[Any, str]:
    """The file system that holds a file, and its path there."""
    name, _, query = name.partition("?")
    scheme, _, rest = name.partition(SCHEME)
    store, _, path = rest.partition("/")
    system, root = _connect(scheme, store, query)
    # Not by the whole URI: names may hold what would be decoded in one.
    return system, f"{root}/{path}".rstrip("/")


@lru_cache(maxsize=64)
def _connect(scheme: str, store: str, query: str) -> tuple[Any, str]:
    from pyarrow import fs

    if scheme in ("s3", "gs", "gcs"):
        options = f"?{query}" if query else ""
        system, root = fs.FileSystem.from_uri(f"{scheme}{SCHEME}{store}{options}")
        return system, root.rstrip("/")
    import fsspec

    system = fsspec.filesystem(scheme)
    return fs.PyFileSystem(fs.FSSpecHandler(system)), store


class _explained:  # noqa: N801
    """Turns what a store says into one sentence; a context."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name.partition("?")[0], what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DecontextError) or not isinstance(
            error, (OSError, ValueError, ImportError)
        ):
            return
        reason = (str(error) or type(error).__name__).split("\n")[0]
        raise InputError(
            f"{self._name} cannot be {self._what} ({reason}).",
            "Look at the name, and at the store's keys and endpoint in the environment.",
        ) from error
