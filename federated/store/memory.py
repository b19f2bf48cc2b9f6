"""What a process holds of memory, and how what a job is done with goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

__all__ = ["give_back", "memory_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Return what is free: of Python's objects, Arrow's pools, and the C library's arenas.

    The C library keeps freed blocks for later in each thread's arena; a job of a million rows
    leaves hundreds of megabytes there. `malloc_trim` hands whole pages back (glibc; elsewhere
    nothing happens).
    """
    gc.collect()
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return  # another C library


def memory_of(process: int | str = "self") -> int:
    """Resident memory of a process, bytes; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0
