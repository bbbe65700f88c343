"""Nothing that decoders print: Pillow's warnings of harmless damage in metadata.

Used by `reading` and `saving`.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_filters = warnings.catch_warnings()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Ignore Pillow's warnings, in as many threads as like: the last to leave puts things back.

    `warnings.catch_warnings` alone is not made for threads: the filters are the process's.
    """
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _filters.__exit__(None, None, None)
