"""Powers of whole vectors of pairs: of every row, or of one base from tables.

Arguments and layout as in montgomery_rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_blocks import block, copy, spread
from psi.kernels.montgomery_lanes import (
    aligned,
    gather,
    prefetch,
    scatter,
    select_entry,
    select_row,
)
from psi.kernels.montgomery_products import pair_product, pair_square

__all__ = ["fixed_base_rows", "power_rows"]

# lane blocks that go through the tables of a fixed base together
_BATCH = 256


@kernel
def power_rows(
    out: Any,
    a: Any,
    digits: Any,
    window: int,
    scan: bool,
    one: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[i] = a[i]^e[i], digits of e in base 2^window, most significant first.

    `digits` is `uint64[n, k]`, or one row for all. With `scan` every entry of the table of
    powers is read for every digit, and every digit costs the same, so neither addresses nor
    time tell e; without it `digits` must be one row.
    """
    size = 2 * h
    entries = 1 << window
    flat = aligned(entries * size)
    table = flat.reshape(entries, size, 8)
    x, y, acc, scratch = aligned(size), aligned(size), aligned(5 * h), aligned(3 * h)
    wanted = aligned(1)
    rows = np.empty(8, dtype=np.int64)
    shared = len(digits) == 1
    spread(table[0], one)
    for i in range(start, stop, 8):
        block(rows, i, stop)
        gather(table[1], a, rows, size)
        for k in range(2, entries):
            if k % 2 == 0:
                pair_square(table[k], table[k // 2], modulus, shift, inverse, h, acc, scratch)
            else:
                pair_product(table[k], table[k - 1], table[1], modulus, shift, inverse, h, acc)
        for k in range(digits.shape[1]):
            if k > 0:
                for _ in range(window):
                    pair_square(x, x, modulus, shift, inverse, h, acc, scratch)
            if scan:
                for lane in range(8):
                    wanted[0, lane] = digits[0 if shared else rows[lane], k]
                select_row(y, flat, size, entries, wanted)
            else:
                copy(y, table[digits[0, k]], size)
            if k > 0:
                pair_product(x, x, y, modulus, shift, inverse, h, acc)
            else:
                copy(x, y, size)
        scatter(out, rows, x, size)


@kernel
def fixed_base_rows(
    out: Any,
    table: Any,
    digits: Any,
    entries: int,
    scan: bool,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[i] = product over k of table[k entries + digits[k, i]], a table row for every digit.

    Blocks of rows go through the windows together, so that a window's entries stay in the
    cache. `scan` reads all entries of a window for every digit.
    """
    size = 2 * h
    y, acc = aligned(size), aligned(5 * h)
    held = aligned(_BATCH * size).reshape(_BATCH, size, 8)
    wanted = aligned(1)
    rows = np.empty(8, dtype=np.int64)
    for base in range(start, stop, 8 * _BATCH):
        end = min(stop, base + 8 * _BATCH)
        for k in range(len(digits)):
            for i in range(base, end, 8):
                x = held[(i - base) >> 3]
                for lane in range(8):
                    digit = digits[k, min(i + lane, stop - 1)]
                    wanted[0, lane] = np.uint64(digit)
                    rows[lane] = k * entries + digit
                if scan:
                    select_entry(y, table, size, k * entries, entries, wanted)
                else:
                    gather(y, table, rows, size)
                    for ahead in range(i + 8, min(i + 16, end)):
                        prefetch(table, k * entries + digits[k, ahead], size)
                if k == 0:
                    copy(x, y, size)
                else:
                    pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for i in range(base, end, 8):
            block(rows, i, stop)
            scatter(out, rows, held[(i - base) >> 3], size)
