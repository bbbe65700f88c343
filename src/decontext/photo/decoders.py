"""What decoders raise, and nothing of what they print.

Used by `exif`, `reading` and `saving`. Pillow warns of harmless damage in metadata, logs some, and
libtiff, which it carries, writes to stderr by itself.
"""

import ctypes
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from PIL import _imaging

DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on files and metadata that make no sense."""

_lock = threading.Lock()
_inside = 0
_undo = ExitStack()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Print nothing, in as many threads as like: the last to leave puts everything back.

    Warning filters, log handlers and libtiff's handlers are the process's, so each thread setting
    and restoring its own (`warnings.catch_warnings`) would leave them wrong.
    """
    global _inside, _undo
    with _lock:
        if _inside == 0:
            _undo = _silence()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _undo.close()


def _silence() -> ExitStack:
    """Turn everything off; what is returned turns it on again."""
    undo = ExitStack()
    undo.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Without any handler, Python prints what is logged.
    handler, logger = logging.NullHandler(), logging.getLogger("PIL")
    logger.addHandler(handler)
    undo.callback(logger.removeHandler, handler)
    for setter in _libtiff():
        undo.callback(setter, setter(None))
    return undo


def _libtiff() -> list[Callable[[Any], Any]]:
    """libtiff's setters of the handlers that print; none where it is part of Pillow's own file."""
    setters = []
    try:
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(library, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setters.append(setter)
    except (OSError, AttributeError):
        return []
    return setters
