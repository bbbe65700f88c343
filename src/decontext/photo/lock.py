"""One process at a time for a file of results: a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from decontext.errors import InputError

if sys.platform != "win32":  # It has none; there two processes are not kept apart.
    import fcntl

_CANNOT_LOCK = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""What a file system that knows no locks answers; there two processes are not kept apart either."""


@contextmanager
def hold_lock(results: Path) -> Iterator[None]:
    """Keep other processes and threads away from a file of results, by a hidden file beside it.

    The hidden file holds the number of the process. What counts is the system's lock on it, not
    that it is there: a process that was killed blocks nobody.

    Raises:
        InputError: another process holds it, or the folder cannot be written to.
    """
    path = results.with_name(f".{results.name}.lock")
    try:
        descriptor = _open(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}).", "Choose another folder."
        ) from error
    try:
        with suppress(OSError):  # On a full disk it holds no number; the lock is the same.
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open(path: Path) -> int:
    """The lock's file, locked. Raises: InputError: somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if sys.platform == "win32":
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _CANNOT_LOCK:
                return descriptor
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise InputError(
                f"process {holder or '?'} is writing into {path.parent} already.",
                "Wait until it is done, or choose another folder.",
            ) from None
        # Whoever held it before may have removed the file between opening and locking.
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)
