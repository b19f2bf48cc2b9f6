"""Whether values are among a few words.

Their array is made when it is first asked for: to make one pyarrow imports pandas, .3 s and 40 MB
to a command that reads no table.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["among"]


def among(values: pa.Array | pa.ChunkedArray, words: frozenset[str]) -> pa.Array:
    """Of each text whether it is one of the words: booleans, false for null.

    Args:
        values: `large_string`.
        words: a constant, whose array is kept.
    """
    return pc.is_in(values, value_set=_array(words))


@cache
def _array(words: frozenset[str]) -> pa.Array:
    return pa.array(sorted(words), pa.large_string())
