"""Blocks of points in a workspace: limbs in and out, and quotients that share an inversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import part
from psi.kernels.field25519 import field_program
from psi.kernels.rows25519 import BLOCK, ELEMENT, LANES, LIMBS, ROW

__all__ = [
    "BATCH",
    "DIVIDEND",
    "DIVISOR",
    "ROWS",
    "SCRATCH",
    "divide",
    "power_250",
    "root_power",
    "unpack",
    "workspace",
]

BATCH = 32
"""Blocks whose inversions are shared."""
SCRATCH = 44
"""Rows for intermediates, from row 0 on; `divide` spoils the first six."""
DIVIDEND, DIVISOR, _PREFIX = SCRATCH, SCRATCH + BATCH, SCRATCH + 2 * BATCH
ROWS = _PREFIX + BATCH
"""Rows of a workspace."""
_M51, _M26 = np.uint64(2**51 - 1), np.uint64(2**26 - 1)


def power_250(z: int, out: int, t: int) -> list[tuple[Any, ...]]:
    """out = z^(2^250 - 1), t + 1 = z^11; rows t..t+3 are used. The usual addition chain."""
    a, b, c, d = t, t + 1, t + 2, t + 3
    return [
        ("square", a, z),
        ("squares", c, a, 2),
        ("multiply", c, c, z),
        ("multiply", b, a, c),
        ("square", a, b),
        ("multiply", c, c, a),
        ("squares", a, c, 5),
        ("multiply", c, a, c),
        ("squares", a, c, 10),
        ("multiply", a, a, c),
        ("squares", d, a, 20),
        ("multiply", a, d, a),
        ("squares", a, a, 10),
        ("multiply", c, a, c),
        ("squares", a, c, 50),
        ("multiply", a, a, c),
        ("squares", d, a, 100),
        ("multiply", a, d, a),
        ("squares", a, a, 50),
        ("multiply", out, a, c),
    ]


def root_power(z: int, out: int, t: int) -> list[tuple[Any, ...]]:
    """out = z^((p + 3) / 8), a root of z or of -z where either is a square; rows t..t+3 are used.

    The exponent is 4 (2^250 - 1) + 2.
    """
    return [
        *power_250(z, out, t),
        ("squares", out, out, 2),
        ("square", t, z),
        ("multiply", out, out, t),
    ]


_invert = field_program(
    # p - 2 = (2^250 - 1) 2^5 + 11
    "invert",
    *power_250(0, 1, 2),
    ("squares", 1, 1, 5),
    ("multiply", 0, 1, 3),
)
_begin = field_program("begin", ("constant", "a", 1))
_enter = field_program("enter", ("guard", "a", "b"), ("copy", "c", 0), ("multiply", 0, 0, "b"))
_leave = field_program(
    "leave", ("multiply", 1, 0, "c"), ("multiply", "a", "a", 1), ("multiply", 0, 0, "b")
)
_freeze = field_program("least", ("freeze", "a", "a"))


@part
def workspace(words):  # type: ignore[no-untyped-def]
    """`words` 64-bit words that begin where a cache line begins."""
    data = np.empty(words + 8, np.uint64)
    skip = (-(data.ctypes.data >> 3)) & 7
    return data[skip : skip + words]


@part
def unpack(rows, first, bit, work, row):  # type: ignore[no-untyped-def]
    """255 bits from `bit` on of BLOCK rows (past the end the last one again) into a row."""
    width = rows.shape[1]
    for k in range(BLOCK):
        source = min(first + k, len(rows) - 1)
        place = row * ROW + (k // LANES) * ELEMENT + k % LANES
        for limb in range(5):
            word, shift = (bit + 51 * limb) >> 6, (bit + 51 * limb) & 63
            value = np.uint64(0)
            if word < width:
                value = rows[source, word] >> np.uint64(shift)
            if shift > 13 and word + 1 < width:
                value |= rows[source, word + 1] << np.uint64(64 - shift)
            value &= _M51
            if LIMBS == 5:
                work[place + limb * LANES] = value
            else:
                work[place + 2 * limb * LANES] = value & _M26
                work[place + (2 * limb + 1) * LANES] = value >> np.uint64(26)


@part
def _pack(work, row, rows, first, last):  # type: ignore[no-untyped-def]
    """Frozen elements to 256-bit numbers, those of rows below `last`."""
    limbs = np.empty(5, np.uint64)
    for k in range(min(BLOCK, last - first)):
        place = row * ROW + (k // LANES) * ELEMENT + k % LANES
        for limb in range(5):
            if LIMBS == 5:
                limbs[limb] = work[place + limb * LANES]
            else:
                high = work[place + (2 * limb + 1) * LANES] << np.uint64(26)
                limbs[limb] = work[place + 2 * limb * LANES] | high
        for word in range(4):
            # 64 w = 51 w + 13 w: word w begins at bit 13 w of limb w
            low = limbs[word] >> np.uint64(13 * word)
            rows[first + k, word] = low | (limbs[word + 1] << np.uint64(51 - 13 * word))


@part
def divide(work, rows, first, last, count):  # type: ignore[no-untyped-def]
    """Rows DIVIDEND.. over rows DIVISOR.. with one inversion, 0 where the divisor is 0; packed.

    Source: Montgomery's simultaneous inversion. Row 0 runs along the products.
    """
    _begin(work, 0, 0, 0)
    for i in range(count):
        _enter(work, DIVIDEND + i, DIVISOR + i, _PREFIX + i)
    _invert(work, 0, 0, 0)
    for i in range(count - 1, -1, -1):
        _leave(work, DIVIDEND + i, DIVISOR + i, _PREFIX + i)
        _freeze(work, DIVIDEND + i, 0, 0)
        _pack(work, DIVIDEND + i, rows, first + i * BLOCK, last)
