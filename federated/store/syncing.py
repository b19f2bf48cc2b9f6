"""Several files to the disk at once: a disk flushes for all of them in about the time of one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["Syncing"]

_MOST = 8


class Syncing:
    """Threads that wait for the disk, made when they are first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return "<syncing>"

    def all(self, files: Iterable[int]) -> None:
        """Return once everything written to these open files outlives a power failure.

        Raises `OSError` where one cannot be written, after all have been tried.
        """
        first, *others = files
        if others and self._pool is None:
            self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="sync")
        waits = [self._pool.submit(os.fdatasync, each) for each in others] if self._pool else []
        try:
            os.fdatasync(first)
        finally:
            errors = [error for error in (each.exception() for each in waits) if error]
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
