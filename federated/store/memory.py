"""Memory that a job is done with goes back to the system, so that an idle node is a small one."""

from __future__ import annotations

import ctypes
import gc
import sys

__all__ = ["give_back"]


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
