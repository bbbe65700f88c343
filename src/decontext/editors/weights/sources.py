"""Where an editor's files come from: a folder in diffusers' layout, or the hub's copy of one.

Both give paths of local files. What has to be downloaded is announced first, with its size, and
refused where the disk has no room for it.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from decontext.errors import EditorError
from decontext.machine import describe_bytes

logger = logging.getLogger("decontext")
HUB_PAGE = "https://huggingface.co"
TIMEOUT = 10
"""Seconds until the hub counts as out of reach."""

INDEX = "model_index.json"
SMALL = (".json", ".txt", ".model", ".jinja")
"""Endings of configurations, indices and tokenizers: a few megabytes in all."""


class Source(Protocol):
    """Files named relative to the editor's folder."""

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def revision(self) -> str:
        """The commit; empty where the folder's content may change."""
        ...

    def require(self, names: Iterable[str]) -> None:
        """Make sure that these files are in `folder`. Raises: EditorError."""
        ...


class FolderSource:
    """A folder on this machine."""

    revision = ""

    def __init__(self, editor: str, folder: Path) -> None:
        self.name = str(folder)
        self.folder = folder
        self._editor = editor

    def require(self, names: Iterable[str]) -> None:
        absent = [name for name in names if not (self.folder / name).is_file()]
        if absent:
            others = f" and {len(absent) - 1} more files are" if len(absent) > 1 else " is"
            raise EditorError(
                f"{self._editor}: the part {absent[0].split('/')[0]!r} of {self.folder} is "
                f"incomplete: {absent[0]}{others} missing",
                "copy or download the folder again",
            )


class HubSource:
    """A repository of the Hugging Face hub, kept where its other tools keep it.

    Its configurations are fetched at once, its weights when they are required. What is there
    already is used without asking the hub.

    Raises:
        EditorError: the hub is out of reach, the licence was not accepted, or the disk is full.
    """

    def __init__(
        self,
        editor: str,
        repository: str,
        parts: Iterable[str],
        cache: str | Path | None = None,
        *,
        marker: str = INDEX,
        wanted: Iterable[str] = (),
    ) -> None:
        self._marker = marker
        self.name = repository
        self._editor = editor
        self._cache = cache
        self._known_sizes: dict[str, int] = {}
        found = self._find_index()
        if found is None or not all(any((found / part).glob("*")) for part in parts):
            small = [name for name in self._sizes(None) if name.endswith(SMALL)]
            self._download(list(wanted) or small, None)
            found = self._find_index()
        if found is None:
            raise EditorError(
                f"{editor}: {repository} does not hold this editor: it has no {marker}.",
                "Give another hub id or a local folder with --weights.",
            )
        self.folder = found

    @property
    def revision(self) -> str:
        """The commit; empty where the folder's content may change."""
        return self.folder.name

    def require(self, names: Iterable[str]) -> None:
        absent = [name for name in names if not (self.folder / name).is_file()]
        if absent:
            # The folder is named after the commit: files of one commit are never mixed.
            self._download(absent, self.folder.name)

    def _find_index(self) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.name, self._marker, cache_dir=self._cache)
        return Path(found).parent if isinstance(found, str) else None

    def _sizes(self, revision: str | None) -> dict[str, int]:
        """Bytes of every file of the repository. Asked before anything is downloaded: this call
        fails at once where there is no connection, a download would try again for half a minute.
        """
        from huggingface_hub import HfApi

        if not self._known_sizes:
            with self._explained():
                listing = HfApi().model_info(
                    self.name, revision=revision, files_metadata=True, timeout=TIMEOUT
                )
            self._known_sizes = {file.rfilename: file.size or 0 for file in listing.siblings or ()}
        return self._known_sizes

    def _download(self, names: list[str], revision: str | None) -> None:
        from huggingface_hub import constants, hf_hub_download

        sizes = self._sizes(revision)
        for name in names:
            if name not in sizes:
                raise EditorError(
                    f"{self._editor}: {name} is missing from {self.name} on the hub.",
                    "Give another hub id or a local folder with --weights.",
                )
        place = Path(self._cache or constants.HF_HUB_CACHE)
        total = sum(sizes[name] for name in names)
        _check_disk(self._editor, place, total)
        logger.warning(
            "downloading %s (%d files) of %s to %s",
            describe_bytes(total), len(names), self.name, place,
        )  # fmt: skip
        for name in names:
            with self._explained():
                hf_hub_download(
                    self.name, name, revision=revision, cache_dir=self._cache, etag_timeout=TIMEOUT
                )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the hub's errors into ones that say what to do."""
        from huggingface_hub import errors

        page = f"{HUB_PAGE}/{self.name}"
        unreachable: tuple[type[BaseException], ...] = (OSError, ValueError, *_network_errors())
        try:
            yield
        except (errors.GatedRepoError, errors.LocalTokenNotFoundError) as error:
            raise EditorError(
                f"{self._editor}: the hub does not give out {self.name}: its licence was not "
                "accepted, or you are not logged in",
                f"visit {page}, accept the licence, then run 'huggingface-cli login' "
                "('hf auth login' in newer versions)",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise EditorError(
                f"{self._editor}: the hub knows no {self.name}, or shows it only to those who are "
                "logged in",
                f"look at {page}; log in with 'huggingface-cli login' ('hf auth login' in newer "
                "versions)",
            ) from error
        except unreachable as error:
            raise EditorError(
                f"{self._editor}: {self.name} is not complete on this machine, and the hub is out "
                f"of reach ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
                "connect and try again, or give a local folder with --weights",
            ) from error


def open_source(
    editor: str,
    source: str | Path,
    parts: Iterable[str],
    cache: str | Path | None = None,
    *,
    marker: str = INDEX,
    wanted: Iterable[str] = (),
) -> Source:
    """The folder or the hub's repository that a user named.

    A repository is there once its file `marker` is; until then `wanted` files are fetched, by
    default what is small.

    Raises:
        EditorError: there is no such folder, a part of it is missing, or as `HubSource`.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        for part in parts:
            if not (folder / part).is_dir():
                raise EditorError(
                    f"{editor}: the part {part!r} is missing from {folder}",
                    "the folder must hold every part of the pipeline, as save_pretrained writes it",
                )
        return FolderSource(editor, folder)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(source)):
        raise EditorError(
            f"{editor}: there is no folder {str(source)!r}",
            "give a folder in diffusers' layout or a hub id such as owner/name",
        )
    return HubSource(editor, str(source), parts, cache, marker=marker, wanted=wanted)


def _check_disk(editor: str, place: Path, total: int) -> None:
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if total > free:
        raise EditorError(
            f"{editor}: {describe_bytes(total)} have to be downloaded to {place}; "
            f"{describe_bytes(free)} of the disk are free",
            "free some space, or set HF_HOME to a folder on another disk",
        )


def _network_errors() -> tuple[type[BaseException], ...]:
    """What the hub's client raises without a connection; its library for that has changed."""
    found: list[type[BaseException]] = []
    for library in ("httpx2", "httpx", "requests"):
        try:
            module = __import__(library)
        except ImportError:
            continue
        found += [
            kind
            for name in ("HTTPError", "RequestException")
            if (kind := getattr(module, name, None)) is not None
        ]
    return tuple(found)
