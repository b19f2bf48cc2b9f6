"""A fingerprint of the rows that a contract was signed over."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["snapshot_hash"]

_ROWS = 1 << 16


def snapshot_hash(table: pa.Table, *, salt: bytes = b"") -> str:
    """sha256, in hex, over the table's columns in name order, its row count and `salt`.

    Equal tables have equal hashes whatever their chunks, slices, dictionaries, offset widths,
    column order, or the bytes that lie under nulls: each block of rows is written as Arrow
    lays it out in canonical form (one validity byte a row, then little-endian values, or
    int64 lengths and UTF-8), not as its buffers happen to be. The hash of a small table can
    be guessed; a `salt` known to its owner alone prevents that.
    """
    digest = hashlib.sha256(b"fedprofile table snapshot 1\0")
    _put(digest, salt)
    _put(digest, str(table.num_rows).encode())
    for name in sorted(table.column_names):
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.large_string())
        _put(digest, name.encode())
        _put(digest, str(column.type).encode())
        for at in range(0, table.num_rows, _ROWS):
            _block(digest, pa.concat_arrays(column.slice(at, _ROWS).chunks))
    return digest.hexdigest()


def _put(digest: hashlib._Hash, data: bytes) -> None:
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)


def _block(digest: hashlib._Hash, block: pa.Array) -> None:
    """One block of rows in canonical layout."""
    valid = pc.is_valid(block).to_numpy(zero_copy_only=False)
    digest.update(np.asarray(valid, dtype=np.uint8).tobytes())
    kind = block.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_boolean(kind):
        values = pc.fill_null(block, False).to_numpy(zero_copy_only=False)
        digest.update(np.asarray(values, dtype=np.uint8).tobytes())
        return
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = np.ascontiguousarray(pc.fill_null(block, 0).to_numpy(zero_copy_only=False))
        if pa.types.is_floating(kind):
            # One NaN and one zero: their other bit patterns mean the same.
            values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values) + 0.0
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
        return
    if not pa.types.is_large_string(kind):
        block = block.cast(pa.large_string())  # dates, times, decimals: as they print
    text = pc.fill_null(block, "")
    lengths = pc.binary_length(text).to_numpy(zero_copy_only=False)
    digest.update(np.asarray(lengths, dtype="<i8").tobytes())
    digest.update("".join(text.to_pylist()).encode())
