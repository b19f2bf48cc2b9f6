"""One pass over text that needs no Unicode tables: ASCII, and common Chinese characters.

Such text is in every normal form as it stands, so a table of 128 bytes says what becomes of each
character: itself or its lower case, a space, or nothing. Runs of spaces become one, those at either
end go. The Chinese characters are those of Unicode 1.1 (U+4E00 to U+9FA5), which no version of
Unicode decomposes, composes or cases. All other text is left to Arrow (`psi.identifiers.text`),
over distinct values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers.codes import KEPT, NULL
from psi.identifiers.rows import run_rows
from psi.kernels.cache import kernel

__all__ = ["NAME", "PLAIN", "folded"]

_WIDE = 255
_DROP = 0
_FIRST, _LAST = 0x4E00, 0x9FA5


def _table(dropped: str, spaced: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    table = np.arange(128, dtype=np.uint8)
    table[65:91] += 32
    table[:32] = table[127] = 32
    table[[ord(char) for char in spaced]] = 32
    table[[ord(char) for char in dropped]] = _DROP
    table.flags.writeable = False
    return table


PLAIN = _table("", "")
"""Lower case; control characters are spaces."""
NAME = _table("'`", '!"#$%&()*+,-./:;<=>?@[\\]^_{|}~')
"""The same; quotes go, other punctuation and symbols are spaces."""


@kernel
def fold(table, joined, data, offsets, valid, out, ends, state):  # type: ignore[no-untyped-def]
    """The shape of `psi.identifiers.codes`; `joined`: no spaces in rows with Chinese characters."""
    used = 0
    for row in range(valid.size):
        code = KEPT if valid[row] else NULL
        begin, chinese, gap = used, False, False
        i, high = offsets[row], offsets[row + 1]
        while code == KEPT and i < high:
            char, width = data[i], 1
            if char >= 128:
                width, point = 3, 0
                if i + 2 < high and (data[i + 1] & 0xC0) == 0x80 and (data[i + 2] & 0xC0) == 0x80:
                    point = (char & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F)
                if char & 0xF0 != 0xE0 or point < _FIRST or point > _LAST:
                    code = _WIDE
                    break
                chinese = True
            else:
                char = table[char]
            if width == 1 and char == 32:
                gap = used > begin
            elif char != _DROP:
                if gap:
                    out[used] = 32
                    used += 1
                    gap = False
                out[used] = char
                for k in range(1, width):
                    out[used + k] = data[i + k]
                used += width
            i += width
        if code != KEPT:
            used = begin
        elif chinese and joined:
            end, used = used, begin
            for k in range(begin, end):
                if out[k] != 32:
                    out[used] = out[k]
                    used += 1
        state[row] = code
        ends[row] = used
    return used


def folded(
    values: pa.Array,
    table: np.ndarray[Any, np.dtype[np.uint8]],
    others: Callable[[pa.Array], pa.Array],
    *,
    joined: bool = False,
) -> pa.Array:
    """Each row by `table`; rows with other characters by `others`, over their distinct values."""
    done, state = run_rows(partial(fold, table, joined), values)
    wide = state == _WIDE
    if not wide.any():
        return done
    mask = pa.array(wide)
    pairs = pc.dictionary_encode(values.filter(mask))
    return pc.replace_with_mask(done, mask, others(pairs.dictionary).take(pairs.indices))
