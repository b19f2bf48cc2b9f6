"""Which kernels this CPU runs, and how many threads they get.

`wide` is eight lanes of 52-bit multiply-add (AVX-512 IFMA); `portable` works anywhere, and is
fast where there is AVX2. The choice is made once, before anything compiles, from the features
of the CPU that numba compiles for, or from the environment:
`FEDPROFILE_KERNELS=auto|wide|portable`. `FEDPROFILE_THREADS` limits the threads.

AES and carry-less products have a choice of their own, `block_path`: 512-bit or 128-bit
instructions, or portable code, which `FEDPROFILE_KERNELS=portable` asks for as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal, TypeVar, cast

import numpy as np

from psi.protocol.errors import MisuseError

__all__ = [
    "BlockPath",
    "KernelPath",
    "block_path",
    "cpu_features",
    "each_in_threads",
    "kernel_path",
    "parallel_rows",
    "readonly",
    "room_for",
    "threads",
]

KernelPath = Literal["wide", "portable"]
BlockPath = Literal["vaes", "aes", "portable"]
_NEEDED = frozenset({"avx512f", "avx512ifma", "avx512dq", "avx512vl"})
_BLOCKS = frozenset({"aes", "pclmul", "sse4.1", "ssse3"})
_WIDE_BLOCKS = frozenset({"vaes", "vpclmulqdq", "avx512f", "avx512bw", "avx512vl"})
T = TypeVar("T")
R = TypeVar("R")
_PIECES = 4
"""Ranges a thread: a core that is slower or shared holds nobody up for long."""


@cache
def cpu_features() -> frozenset[str]:
    """LLVM's names of what the target of numba's compiler can do.

    That is this CPU, unless NUMBA_CPU_NAME or NUMBA_CPU_FEATURES say otherwise; a CPU given by
    name only is taken to have nothing special.
    """
    from llvmlite import binding
    from numba import config

    name, features = getattr(config, "CPU_NAME", None), getattr(config, "CPU_FEATURES", None)
    if features is not None:
        return frozenset(item[1:] for item in str(features).split(",") if item.startswith("+"))
    if name not in (None, "host"):
        return frozenset()
    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:
        return frozenset()
    return frozenset(name for name, has in found.items() if has)


@cache
def kernel_path() -> KernelPath:
    """The path of this process. Raises `MisuseError` if the CPU lacks what was asked for."""
    asked = os.environ.get("FEDPROFILE_KERNELS", "auto")
    wide = cpu_features() >= _NEEDED
    if asked not in ("auto", "wide", "portable"):
        raise MisuseError(f"FEDPROFILE_KERNELS is {asked!r}, auto, wide or portable allowed")
    if asked == "wide" and not wide:
        raise MisuseError("FEDPROFILE_KERNELS is wide, but this CPU has no AVX-512 IFMA")
    if asked == "auto":
        return "wide" if wide else "portable"
    return cast(KernelPath, asked)


@cache
def block_path() -> BlockPath:
    """How AES and carry-less products are computed in this process."""
    if os.environ.get("FEDPROFILE_KERNELS", "auto") == "portable":
        return "portable"
    found = cpu_features()
    if not found >= _BLOCKS:
        return "portable"
    return "vaes" if found >= _WIDE_BLOCKS else "aes"


def threads() -> int:
    """Threads for kernels: the cores this process may use, unless the environment says less."""
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("FEDPROFILE_THREADS", "")
    if not asked:
        return cores
    if not asked.isdigit() or not 1 <= int(asked) <= 1024:
        raise MisuseError(f"FEDPROFILE_THREADS is {asked!r}, 1 to 1024 allowed")
    return int(asked)


def readonly(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A contiguous read-only view or copy: numba compiles one kernel for all inputs then."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def room_for(shape: tuple[int, ...], into: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    """`into`, which must be `uint64` of that shape and contiguous; a new array if it is None."""
    if into is None:
        return np.empty(shape, np.uint64)
    if into.shape != shape or into.dtype != np.uint64 or not into.flags.c_contiguous:
        raise ValueError(f"room of shape {into.shape} for rows of shape {shape}")
    return into


@cache
def _pool(size: int, process: int, name: str = "kernel") -> ThreadPoolExecutor:
    del process  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(size, thread_name_prefix=name)


def each_in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `work` gives for each item, in their order, by as many threads as kernels get.

    It must spend its time in kernels, and change nothing that two items share. Its kernels may have
    threads of their own. If one fails, the others still end before this raises.
    """
    count = min(threads(), len(items))
    if count < 2:
        return [work(item) for item in items]
    running = [_pool(count, os.getpid(), "each").submit(work, item) for item in items]
    errors = [done.exception() for done in running]
    for error in errors:
        if error is not None:
            raise error
    return [done.result() for done in running]


def parallel_rows(
    kernel: Callable[..., Any], rows: int, *args: Any, block: int = 8, least: int = 64
) -> None:
    """Call `kernel(low, high, *args)` over 0..rows, in ranges that are multiples of `block`.

    The kernel must release the GIL and write only its own rows. Fewer than `least` rows a
    thread are not worth a thread. If a range fails, the others still end before this raises.
    """
    count = max(1, min(threads(), rows // least))
    if count == 1:
        kernel(0, rows, *args)
        return
    step = -(-max(least, -(-rows // (count * _PIECES))) // block) * block
    ranges = [(low, min(low + step, rows)) for low in range(0, rows, step)]
    running = [_pool(count, os.getpid()).submit(kernel, low, high, *args) for low, high in ranges]
    errors = [done.exception() for done in running]
    for error in errors:
        if error is not None:
            raise error
