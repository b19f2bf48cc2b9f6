"""Row kernels over Arrow text: in slices, on all cores, without a copy of the input."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers.codes import CHANGED, GROWTH
from psi.kernels.simd import threads as cores

__all__ = ["Kernel", "States", "run_rows", "string_buffers"]

Kernel = Callable[[Any, Any, Any, Any, Any, Any], int]
"""`psi.identifiers.codes` describes its arguments."""
States = np.ndarray[Any, np.dtype[np.uint8]]
_CHUNK_ROWS = 1 << 17


def run_rows(kernel: Kernel, column: pa.Array, threads: int = 0) -> tuple[pa.Array, States]:
    """Run a row kernel over slices of a large_string array: `(values, states)`.

    Values are null where the state is beyond `CHANGED`; 0 threads are what all kernels take.
    """
    workers = threads or cores()
    slices = [column.slice(at, _CHUNK_ROWS) for at in range(0, len(column), _CHUNK_ROWS)]
    if len(slices) < 2 or workers < 2:
        parts = [_run_slice(kernel, part) for part in slices]
    else:
        _run_slice(kernel, column.slice(0, 0))  # compile once, before the threads ask for it
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(lambda part: _run_slice(kernel, part), slices))
    if not parts:
        return pa.array([], type=pa.large_string()), np.zeros(0, dtype=np.uint8)
    values = pa.concat_arrays([part for part, _ in parts])
    return values, np.concatenate([state for _, state in parts])


def _run_slice(kernel: Kernel, part: pa.Array) -> tuple[pa.Array, States]:
    rows = len(part)
    data, offsets = string_buffers(part)
    valid = (
        pc.is_valid(part).to_numpy(zero_copy_only=False)
        if part.null_count
        else np.ones(rows, dtype=np.bool_)
    )
    room = int(offsets[-1] - offsets[0]) + GROWTH * rows
    out = np.empty(room, dtype=np.uint8)
    starts = np.zeros(rows + 1, dtype=np.int64)
    state = np.empty(rows, dtype=np.uint8)
    used = kernel(data, offsets, valid, out, starts[1:], state)
    mask = np.packbits(state <= CHANGED, bitorder="little")
    values = pa.LargeStringArray.from_buffers(
        rows, pa.py_buffer(starts), pa.py_buffer(out[:used]), pa.py_buffer(mask)
    )
    return values, state


def string_buffers(
    part: pa.Array,
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Zero-copy `(data, offsets)` of a large_string array; offsets need not begin at 0.

    Both are read-only whatever the input, so that kernels compile once.
    """
    _, offset_buffer, data_buffer = part.buffers()
    rows = len(part)
    if offset_buffer is None or offset_buffer.size == 0:
        offsets = np.zeros(rows + 1, dtype=np.int64)
    else:
        offsets = np.frombuffer(offset_buffer, dtype=np.int64)[part.offset : part.offset + rows + 1]
    if data_buffer is None or data_buffer.size == 0:
        data = np.zeros(0, dtype=np.uint8)
    else:
        data = np.frombuffer(data_buffer, dtype=np.uint8)
    data.flags.writeable = offsets.flags.writeable = False
    return data, offsets
