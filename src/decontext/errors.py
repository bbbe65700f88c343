"""What can go wrong, in words for the person who sees it. Imports nothing of this package.

    DecontextError             1: it failed
    ├── InputError             2: what the user gave: a file, a number, a name
    ├── EditorError            2: an editor's folder or weights are missing or damaged
    ├── AttentionError         1: attention calls were not seen, or no usable gradient came back
    ├── NotProtectedError      1: the proportion measured on the saved file did not fall far enough
    ├── MemoryShortError       1: there is not enough memory for the photo and the editor
    ├── TraceError             1: an editor's code does not keep to one device
    └── CancelledError         130: stopped, because the caller asked for it

The number is the exit code of the command line. A message says what it is and what it must be, the
hint says what to do next: `InputError("epsilon is 300; it must be in (0, 255].", "Try 8/255.")`.
"""

from typing import Any, ClassVar


class DecontextError(Exception):
    """An error that explains itself; `str()` of it is the message followed by the hint."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # Both arguments go to Exception, so that the error survives pickling between processes.
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(DecontextError):
    """What the user gave cannot be used: a file, a number, a name."""

    exit_code = 2


class EditorError(DecontextError):
    """An editor's folder or weights are missing or damaged; the message names the part."""

    exit_code = 2


class AttentionError(DecontextError):
    """The editor's attention could not be measured, or gave no usable gradient."""


class NotProtectedError(DecontextError):
    """The photo was measured and is not protected; `verification` says what was reached."""

    verification: Any = None


class MemoryShortError(DecontextError):
    """There is not enough memory, of the machine or of the GPU."""


class TraceError(DecontextError):
    """An editor's code, followed without its weights, did what it must not do."""


class CancelledError(DecontextError):
    """The caller asked to stop; nothing was written."""

    exit_code = 130
