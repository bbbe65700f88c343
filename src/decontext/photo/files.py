"""Write a file whole or not at all, and say in plain words why it could not be written.

Used by everything that leaves a file behind: photos, reports, pages.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decontext.errors import InputError

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space or choose another folder.",
    errno.EDQUOT: "Your share of the disk is used up: free some space or choose another folder.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.ENOENT: "Create the folder first.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def write_whole(content: bytes | memoryview, path: str | Path) -> None:
    """Write to a temporary file beside the target, then rename it into place.

    Whatever interrupts it, the temporary file is removed and an existing target stays as it was.

    Raises:
        InputError: it cannot be written; the hint says what to do about it.
    """
    path = Path(path)
    with _explained(path):
        temporary = _reserve(path.parent)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def check_writable(path: str | Path) -> None:
    """Find out before the work whether a file could be written there, by creating one beside it.

    Raises:
        InputError: the path is a folder, or its folder is missing or cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; the result must be a file.", "Add a file name.")
    with _explained(path):
        _reserve(path.parent).unlink()


def check_absent(path: Path, *, force: bool) -> None:
    """Overwrite nothing that nobody allowed to. Raises: InputError."""
    if path.exists() and not force:
        raise InputError(f"{path} exists already.", "Overwrite it with --force (force=True).")


def make_folder(folder: Path) -> None:
    """Make a folder for results, with those above it. Raises: InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made ({error.strerror}).", "Choose another."
        ) from None


def _reserve(folder: Path) -> Path:
    """Create an empty file of a new name, with the permissions of any new file."""
    path = folder / f".decontext-{secrets.token_hex(8)}.part"
    path.touch(exist_ok=False)
    return path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's errors into one that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} cannot be written ({reason}).",
            _HINTS.get(error.errno or 0, "Choose another place."),
        ) from error
