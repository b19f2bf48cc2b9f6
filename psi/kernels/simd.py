"""Which kernels this CPU runs, and how many threads they get.

`wide` is eight lanes of 52-bit multiply-add (AVX-512 IFMA); `portable` works anywhere. The
choice is made once, before anything compiles, from the CPU's features or from the environment:
`FEDPROFILE_KERNELS=auto|wide|portable`. `FEDPROFILE_THREADS` limits the threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal, cast

from psi.protocol.errors import MisuseError

__all__ = ["KernelPath", "kernel_path", "parallel_rows", "threads"]

KernelPath = Literal["wide", "portable"]
_NEEDED = ("avx512f", "avx512ifma", "avx512dq", "avx512vl")


@cache
def _cpu_is_wide() -> bool:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return all(features.get(name, False) for name in _NEEDED)


@cache
def kernel_path() -> KernelPath:
    """The path of this process. Raises `MisuseError` if the CPU lacks what was asked for."""
    asked = os.environ.get("FEDPROFILE_KERNELS", "auto")
    if asked not in ("auto", "wide", "portable"):
        raise MisuseError(f"FEDPROFILE_KERNELS is {asked!r}, auto, wide or portable allowed")
    if asked == "wide" and not _cpu_is_wide():
        raise MisuseError("FEDPROFILE_KERNELS is wide, but this CPU has no AVX-512 IFMA")
    if asked == "auto":
        return "wide" if _cpu_is_wide() else "portable"
    return cast(KernelPath, asked)


def threads() -> int:
    """Threads for kernels: the cores this process may use, unless the environment says less."""
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("FEDPROFILE_THREADS", "")
    if not asked:
        return cores
    if not asked.isdigit() or not 1 <= int(asked) <= 1024:
        raise MisuseError(f"FEDPROFILE_THREADS is {asked!r}, 1 to 1024 allowed")
    return int(asked)


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="kernel")


def parallel_rows(
    kernel: Callable[..., Any], rows: int, *args: Any, block: int = 8, least: int = 64
) -> None:
    """Call `kernel(low, high, *args)` over 0..rows, in ranges that are multiples of `block`.

    The kernel must release the GIL and write only its own rows. Fewer than `least` rows a
    thread are not worth a thread.
    """
    count = max(1, min(threads(), rows // least))
    if count == 1:
        kernel(0, rows, *args)
        return
    step = -(-rows // (count * block)) * block
    ranges = [(low, min(low + step, rows)) for low in range(0, rows, step)]
    for done in [_pool(count).submit(kernel, low, high, *args) for low, high in ranges]:
        done.result()
