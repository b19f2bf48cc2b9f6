"""From cleaned columns to what kernels hash: composite keys and flat buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers.clean import Cleaned
from psi.identifiers.columns import one_array
from psi.identifiers.rows import string_buffers
from psi.protocol.errors import MisuseError

__all__ = ["combine", "key_buffer"]


def combine(columns: Sequence[Cleaned]) -> pa.Array:
    """One key a row out of one or more cleaned columns: a large_string array.

    A single column is its own key. Several are joined as `length:value` in bytes, so that no
    two different rows make the same key. Null if any part is null.

    Args:
        columns: from `clean`, of one length.

    Raises:
        MisuseError: no column, or columns of different lengths.

    >>> phones = clean(pa.array(["+86 138 0013 8000", None]), "phone")
    >>> names = clean(pa.array(["Anna  Lee", "Bo"]), "name")
    >>> combine([phones, names]).to_pylist()
    ['14:+86138001380008:anna lee', None]
    """
    if not columns:
        raise MisuseError("found no key column, allowed: at least 1")
    rows = {column.rows for column in columns}
    if len(rows) > 1:
        raise MisuseError(f"found key columns of {sorted(rows)} rows, allowed: one length")
    if len(columns) == 1:
        return columns[0].values
    colon, nothing = (pa.scalar(mark, type=pa.large_string()) for mark in (":", ""))
    parts = []
    for column in columns:
        length = pc.cast(pc.binary_length(column.values), pa.large_string())
        parts.append(pc.binary_join_element_wise(length, column.values, colon))
    return pc.binary_join_element_wise(*parts, nothing)


def key_buffer(
    strings: pa.Array | pa.ChunkedArray,
) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.int64]]]:
    """`(data uint8[bytes], offsets int64[n+1])` of keys without nulls; offsets begin at 0.

    Both are read-only; no copy is made where the input is one large_string array.

    Args:
        strings: text, n values without nulls.

    Raises:
        MisuseError: nulls (drop the unusable rows first), or a column that is not text.
    """
    array = one_array(strings)
    if array.null_count:
        raise MisuseError(
            f"found {array.null_count} null keys, allowed: none", hint="drop unusable rows first"
        )
    if not pa.types.is_large_string(array.type):
        if not (pa.types.is_string(array.type) or pa.types.is_string_view(array.type)):
            raise MisuseError(f"found keys of type {array.type}, allowed: text")
        array = array.cast(pa.large_string())
    data, offsets = string_buffers(array)
    low, high = int(offsets[0]), int(offsets[-1])
    if low:
        offsets = offsets - low
        offsets.flags.writeable = False
    return data[low:high], offsets
