"""Clean a column of identifiers: one spelling for each, null for what cannot be one.

`clean(clean(x).values) == clean(x)`, and no error, log line or `repr` holds a value. The
coded kinds run as numba kernels over Arrow buffers, in threads and with no Python loop over
rows; only distinct values that are not ASCII pay for Unicode normalisation. Rarer kinds (`rarer`)
are checked by python-stdnum and phonenumbers, over distinct values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers import codes, phones, rarer, text
from psi.identifiers.columns import as_text, fold_wide
from psi.kernels.simd import threads as cores
from psi.protocol.errors import MisuseError

__all__ = ["KINDS", "Cleaned", "check_kind", "clean"]

_KERNELS: dict[str, codes.Kernel] = {
    "identity_number": codes.identity_number,
    "credit_code": codes.credit_code,
    "lei": codes.lei,
    "phone": phones.phone,
    "number": codes.number,
}
_EXPRESSIONS: dict[str, Callable[[pa.Array], text.Parsed]] = {
    "email": text.email,
    "name": text.name,
    "name_birth_date": text.name_birth_date,
    "date": text.date,
    "text": text.free_text,
}
_CHUNK_ROWS = 1 << 17

KINDS: tuple[str, ...] = (*_KERNELS, *_EXPRESSIONS)
"""The kinds that `clean` knows by itself; `stdnum:MODULE` and `phone:REGION` come on top."""


@dataclass(frozen=True)
class Cleaned:
    """A cleaned column.

    `values` is a large_string array of the input's length, null where unusable; `reasons`
    counts the unusable rows by reason; `changed` counts usable rows whose spelling changed.
    """

    values: pa.Array = field(repr=False)
    kind: str
    reasons: Mapping[str, int]
    changed: int

    @property
    def rows(self) -> int:
        """Rows in all."""
        return len(self.values)

    @property
    def usable(self) -> int:
        """Rows that have a clean identifier."""
        return len(self.values) - int(self.values.null_count)

    @property
    def invalid(self) -> int:
        """Rows that held something, but no identifier of this kind."""
        return self.rows - self.usable - sum(self.reasons.get(r, 0) for r in ("null", "empty"))


def check_kind(kind: str) -> None:
    """Raise what `clean` raises of a kind: `MisuseError`, or `EnvironmentFailed` for a package."""
    _rare(kind)


def _rare(kind: str) -> rarer.Check | None:
    """The function of a rarer kind; None for one of `KINDS`."""
    if kind in KINDS:
        return None
    if str(kind).startswith(rarer.PREFIXES):
        return rarer.checker(kind)
    near = get_close_matches(str(kind), KINDS, n=1)
    raise MisuseError(
        f"found identifier kind {kind!r}, allowed: {', '.join(KINDS)}, stdnum:MODULE, phone:REGION",
        hint=f"did you mean {near[0]}?" if near else "",
    )


def clean(
    column: pa.Array | pa.ChunkedArray,
    kind: str,
    *,
    threads: int = 0,
    progress: rarer.Progress | None = None,
) -> Cleaned:
    """Normalise and check a column of identifiers of one kind.

    Args:
        column: text, whole numbers, dates, or a dictionary of text.
        kind: one of `KINDS`, `stdnum:MODULE` or `phone:REGION`.
        threads: for the coded kinds; 0 takes what all kernels take.
        progress: of the rarer kinds, told the share that is done.

    Raises:
        MisuseError: unknown kind, or a column type that holds no identifiers.
        InputError: text that is not valid UTF-8.
        EnvironmentFailed: a package that the kind needs is not installed.
    """
    rare = _rare(kind)
    given, inexact = as_text(column)
    if kind in _KERNELS:
        folded, wide = fold_wide(given, crosses=kind == "identity_number")
        values, state = _run(_KERNELS[kind], folded, threads)
        if wide is not None:
            state[wide & (state == codes.KEPT)] = codes.CHANGED
    elif rare is not None:
        values, state = _express(lambda rows: rarer.over_distinct(rare, rows, progress), given)
    else:
        values, state = _express(_EXPRESSIONS[kind], given)
    counts = np.bincount(state, minlength=max(codes.REASONS) + 1)
    counts[codes.NULL] -= inexact
    counts[codes.INEXACT] += inexact
    reasons = {reason: int(counts[code]) for code, reason in codes.REASONS.items() if counts[code]}
    return Cleaned(values, kind, reasons, int(counts[codes.CHANGED]))


def _express(
    function: Callable[[pa.Array], text.Parsed], given: pa.Array
) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Run an Arrow expression; give its states the shape that the kernels' have."""
    values, failed = function(given)
    state = np.where(failed == 0, codes.WRONG_FORMAT, failed).astype(np.uint8)
    usable = pc.is_valid(values).to_numpy(zero_copy_only=False)
    same = pc.fill_null(pc.equal(values, given), False).to_numpy(zero_copy_only=False)
    state[usable] = np.where(same[usable], codes.KEPT, codes.CHANGED)
    state[pc.is_null(given).to_numpy(zero_copy_only=False)] = codes.NULL
    return values, state


def _run(
    kernel: codes.Kernel, column: pa.Array, threads: int
) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Run a row kernel over slices of a large_string array."""
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


def _run_slice(
    kernel: codes.Kernel, part: pa.Array
) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.uint8]]]:
    rows = len(part)
    data, offsets = string_buffers(part)
    valid = (
        pc.is_valid(part).to_numpy(zero_copy_only=False)
        if part.null_count
        else np.ones(rows, dtype=np.bool_)
    )
    room = int(offsets[-1] - offsets[0]) + codes.GROWTH * rows
    out = np.empty(room, dtype=np.uint8)
    starts = np.zeros(rows + 1, dtype=np.int64)
    state = np.empty(rows, dtype=np.uint8)
    used = kernel(data, offsets, valid, out, starts[1:], state)
    mask = np.packbits(state <= codes.CHANGED, bitorder="little")
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
