"""Slices of a vector over threads, for work that releases the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from psi.kernels.simd import threads

__all__ = ["parallel", "threads"]

T = TypeVar("T")
_worker = threading.local()


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="montgomery")


if hasattr(os, "register_at_fork"):
    # a forked child has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def parallel(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run all tasks and return their results in order; inside a task, one after the other."""
    jobs = list(tasks)
    if len(jobs) <= 1 or threads() == 1 or getattr(_worker, "busy", False):
        return [job() for job in jobs]
    return list(_pool(threads()).map(_run, jobs))


def _run(job: Callable[[], T]) -> T:
    _worker.busy = True
    try:
        return job()
    finally:
        _worker.busy = False
