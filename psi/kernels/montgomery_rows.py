"""Products of whole vectors of pairs: row by row, by segment, by bucket.

Residues are `uint64[n, 2 h]`, a row the low half's limbs, then the high half's, in Montgomery
form. Every function takes a range of rows, reads eight of them into lanes at a time, and releases
the interpreter's lock. `modulus`, `shift` and `inverse` are N's limbs, the shift that
`pair_product` needs and -1/N mod 2^b; `h` is how many limbs N has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_blocks import block, copy, pick
from psi.kernels.montgomery_emit import LIMB_BITS, LIMB_MASK
from psi.kernels.montgomery_lanes import aligned, gather, prefetch, scatter
from psi.kernels.montgomery_products import pair_product, single_product

__all__ = ["add_rows", "bucket_rows", "low_product", "multiply_rows", "segment_rows"]

_MASK = np.uint64(LIMB_MASK)
_BITS = np.uint64(LIMB_BITS)
_ZERO = np.uint64(0)


@kernel
def multiply_rows(
    out: Any,
    to: Any,
    a: Any,
    left: Any,
    b: Any,
    right: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[to[i]] = a[left[i]] b[right[i]] for i in start to stop."""
    x, y, acc = aligned(2 * h), aligned(2 * h), aligned(5 * h)
    rows = np.empty(8, dtype=np.int64)
    for i in range(start, stop, 8):
        pick(rows, left, i, stop)
        gather(x, a, rows, 2 * h)
        pick(rows, right, i, stop)
        gather(y, b, rows, 2 * h)
        pair_product(x, x, y, modulus, shift, inverse, h, acc)
        pick(rows, to, i, stop)
        scatter(out, rows, x, 2 * h)


@kernel
def segment_rows(
    out: Any,
    a: Any,
    order: Any,
    offsets: Any,
    segments: Any,
    one: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[s] = product of a[order[offsets[s]:offsets[s + 1]]] for s in segments[start:stop].

    Segments should come by falling length: eight go side by side, and a lane whose segment has
    ended multiplies by one.
    """
    x, y, acc = aligned(2 * h), aligned(2 * h), aligned(5 * h)
    rows = np.empty(8, dtype=np.int64)
    first = np.empty(8, dtype=np.int64)
    length = np.empty(8, dtype=np.int64)
    for i in range(start, stop, 8):
        longest = 0
        for lane in range(8):
            segment = segments[min(i + lane, stop - 1)]
            first[lane] = offsets[segment]
            length[lane] = offsets[segment + 1] - first[lane]
            longest = max(longest, length[lane])
            rows[lane] = order[first[lane]] if length[lane] > 0 else 0
        for t in range(max(1, longest)):
            gather(x if t == 0 else y, a, rows, 2 * h)
            for lane in range(8):
                if t >= length[lane]:
                    for j in range(2 * h):
                        (x if t == 0 else y)[j, lane] = one[j]
                if t + 1 < length[lane]:
                    rows[lane] = order[first[lane] + t + 1]
                if t + 2 < length[lane]:
                    prefetch(a, order[first[lane] + t + 2], 2 * h)
            if t > 0:
                pair_product(x, x, y, modulus, shift, inverse, h, acc)
        pick(rows, segments, i, stop)
        scatter(out, rows, x, 2 * h)


@kernel
def bucket_rows(
    total: Any,
    product: Any,
    a: Any,
    buckets: int,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """For chains c in start to stop of `buckets` rows each: product[c] of all, and
    total[c] of the rows to the powers 1, 2, 3, ..."""
    running, sums, y, acc = aligned(2 * h), aligned(2 * h), aligned(2 * h), aligned(5 * h)
    rows = np.empty(8, dtype=np.int64)
    for i in range(start, stop, 8):
        for bucket in range(buckets - 1, -1, -1):
            for lane in range(8):
                rows[lane] = min(i + lane, stop - 1) * buckets + bucket
            gather(y, a, rows, 2 * h)
            if bucket == buckets - 1:
                copy(running, y, 2 * h)
                copy(sums, y, 2 * h)
            else:
                pair_product(running, running, y, modulus, shift, inverse, h, acc)
                pair_product(sums, sums, running, modulus, shift, inverse, h, acc)
        block(rows, i, stop)
        scatter(total, rows, sums, 2 * h)
        scatter(product, rows, running, 2 * h)


@kernel
def low_product(
    out: Any,
    a: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """Eight products mod N, times powers of R, of the low halves of rows start to stop, which
    must be eight at least: `out` is `uint64[h, 8]`."""
    y, acc = aligned(h), aligned(5 * h)
    for i in range(start, stop, 8):
        for lane in range(8):
            # rows past the end come twice, which changes no common factor
            row = min(i + lane, stop - 1)
            for j in range(h):
                y[j, lane] = a[row, j]
        if i == start:
            copy(out, y, h)
        else:
            single_product(out, out, y, modulus, shift, inverse, h, acc)


@kernel
def add_rows(out: Any, a: Any, b: Any, start: int, stop: int, h: int) -> None:
    """out = a + b, half by half."""
    for i in range(start, stop):
        for first in (0, h):
            over = _ZERO
            for j in range(first, first + h):
                value = a[i, j] + b[i, j] + over
                over = value >> _BITS
                out[i, j] = value & _MASK
