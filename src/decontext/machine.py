"""What this machine has: devices, their free memory, and how fast they multiply matrices.

Asked before the weights are loaded, so that the way of loading can be chosen and said. Nothing
here knows an editor.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from decontext.errors import MemoryShortError

CGROUP = Path("/sys/fs/cgroup")
PROBE_SIDES = {"cpu": 1024, "cuda": 4096}
PROBE_REPEATS = 3
GIB = 1024**3
ENDLESS = 2**60
"""Bytes that are free where nothing takes any."""


@contextmanager
def explained_memory() -> Iterator[None]:
    """Turn running out of memory into an error that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch says so of the CPU in words only.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and (
            "allocate memory" not in str(error)
        ):
            raise
        where = "of the GPU" if isinstance(error, torch.OutOfMemoryError) else "of this machine"
        raise MemoryShortError(
            f"the memory {where} is not enough for this photo with this editor.",
            "Try a smaller photo, another precision, or streamed weights.",
        ) from error


@dataclass(frozen=True)
class Device:
    """A device that torch can use; memory in bytes."""

    name: str
    title: str
    total_memory: int
    free_memory: int


def list_devices() -> tuple[Device, ...]:
    """The GPUs that torch can use, then the CPU."""
    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Device(f"cuda:{index}", torch.cuda.get_device_name(index), total, free))
    title = f"CPU, {torch.get_num_threads()} threads"
    total = _memory_of_the_cpu("total")
    return (*found, Device("cpu", title, total, free_memory(torch.device("cpu"))))


def stands_apart(device: torch.device) -> bool:
    """Whether a device has memory of its own beside the CPU's; "meta" stands for one that has."""
    return device.type in ("cuda", "meta")


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device; what torch keeps for itself counts as free."""
    if device.type == "meta":
        return ENDLESS
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = _memory_of_the_cpu("available")
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    # What a container has read from files counts as used there, and can be had all the same.
    return min(free, limit - used + _cgroup_cache()) if limit and used else free


@cache
def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, measured once."""
    side = PROBE_SIDES.get(device.type, 1024)
    left = torch.ones(side, side, dtype=dtype, device=device)
    best = math.inf
    for _ in range(PROBE_REPEATS):
        began = time.perf_counter()
        product = left @ left
        float(product[0, 0])  # waits for a GPU
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def describe_bytes(count: float) -> str:
    """In words, such as "5.4 GB" (gibibytes below, as graphics cards are sold)."""
    if count < GIB:
        return f"{max(round(count / 1024**2), 1)} MB"
    return f"{count / GIB:.1f} GB"


def describe_seconds(seconds: float) -> str:
    """In words, such as "40 s", "12 min" or "3 h 20 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours / 24:.1f} days"


def _memory_of_the_cpu(kind: str) -> int:
    import psutil

    return int(getattr(psutil.virtual_memory(), kind))


def _cgroup(name: str) -> int:
    """A number of this container's memory group, 0 where there is none."""
    try:
        text = (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def _cgroup_cache() -> int:
    try:
        lines = (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return int(counts.get("inactive_file", 0))


def give_back_memory() -> None:
    """Give freed memory back to the system, where the C library keeps it for later (glibc).

    Pillow's pictures are many pieces of 16 MB: freed, they count as this program's until then.
    """
    trim = _find_trim()
    if trim is not None:
        trim(0)


@cache
def _find_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, another system
        return None
    return found
