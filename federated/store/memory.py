"""What a process holds of memory, and how what a job is done with goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

__all__ = ["give_back", "keep_blocks", "memory_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TRIM, _MAP = -1, -3
"""`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of glibc's malloc.h."""
_LARGEST_KEPT = 1 << 25
"""The largest threshold that it takes."""
_MOST_FREE = 1 << 27


def keep_blocks() -> None:
    """Have freed blocks of up to 32 MB used again, up to 128 MB of them, until `give_back`.

    Else the C library hands large blocks back at once and asks for the next: messages and arrays of
    a turn have megabytes, and each of their pages is then cleared by the system and mapped anew
    (glibc; elsewhere nothing happens). It is called before a process has threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library
    mallopt(_MAP, _LARGEST_KEPT)
    mallopt(_TRIM, _MOST_FREE)


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
