"""Whole-vector operations on pairs in IFMA lanes, for montgomery_wide.

Arrays: residues `uint64[n, 2 h]`, a row the low half's limbs, then the high half's, in
Montgomery form; words `uint64[n, W]`. Every function takes a range of rows, reads eight of them
into lanes at a time, and releases the interpreter's lock. `ring` arguments are N's limbs, the
shift that `pair_product` needs, -1/N mod 2^52, and h.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_lanes import (
    LIMB_BITS,
    LIMB_MASK,
    aligned,
    carry,
    clear,
    multiply_add_row,
    pair_product,
    pair_square,
    prefetch,
    select_entry,
    select_row,
    single_product,
)

__all__ = [
    "add_rows",
    "bucket_rows",
    "dump_rows",
    "expand_rows",
    "fixed_base_rows",
    "load_rows",
    "low_product",
    "multiply_rows",
    "plain_rows",
    "power_rows",
    "scale_rows",
    "segment_rows",
]

_MASK = np.uint64(LIMB_MASK)
_BITS = np.uint64(LIMB_BITS)
_ZERO = np.uint64(0)
# lane blocks that go through the tables of a fixed base together
_BATCH = 16


@kernel
def gather(out: Any, source: Any, rows: Any) -> None:
    """Eight rows into lanes."""
    r0, r1, r2, r3, r4, r5, r6, r7 = rows
    for j in range(source.shape[1]):
        out[j, 0] = source[r0, j]
        out[j, 1] = source[r1, j]
        out[j, 2] = source[r2, j]
        out[j, 3] = source[r3, j]
        out[j, 4] = source[r4, j]
        out[j, 5] = source[r5, j]
        out[j, 6] = source[r6, j]
        out[j, 7] = source[r7, j]


@kernel
def pick(rows: Any, start: int, stop: int) -> Any:
    """Eight entries of an index from `start`; those past `stop` repeat the last."""
    last = stop - 1
    return (
        rows[min(start, last)],
        rows[min(start + 1, last)],
        rows[min(start + 2, last)],
        rows[min(start + 3, last)],
        rows[min(start + 4, last)],
        rows[min(start + 5, last)],
        rows[min(start + 6, last)],
        rows[min(start + 7, last)],
    )


@kernel
def spread(out: Any, row: Any) -> None:
    """One row into all lanes."""
    for j in range(len(row)):
        for lane in range(8):
            out[j, lane] = row[j]


@kernel
def scatter(out: Any, row: int, lanes: Any, lane: int) -> None:
    """One lane into a row."""
    for j in range(out.shape[1]):
        out[row, j] = lanes[j, lane]


@kernel
def copy(out: Any, source: Any, rows: int) -> None:
    """Vectors of limbs."""
    for j in range(rows):
        for lane in range(8):
            out[j, lane] = source[j, lane]


@kernel
def read_limbs(out: Any, lane: int, words: Any, row: int, first: int, count: int) -> None:
    """Limbs `first` to `first + count` of a row of words, zero past its end, into a lane."""
    width = words.shape[1]
    for j in range(count):
        bit = (first + j) * LIMB_BITS
        word = bit >> 6
        shift = np.uint64(bit & 63)
        value = _ZERO
        if word < width:
            value = words[row, word] >> shift
            if shift > np.uint64(12) and word + 1 < width:
                value |= words[row, word + 1] << (np.uint64(64) - shift)
        out[j, lane] = value & _MASK


@kernel
def write_words(words: Any, row: int, limbs: Any, lane: int, count: int) -> None:
    """`count` limbs of a lane as a row of words."""
    for word in range(words.shape[1]):
        bit = word << 6
        limb = bit // LIMB_BITS
        shift = np.uint64(bit - limb * LIMB_BITS)
        value = _ZERO
        if limb < count:
            value = limbs[limb, lane] >> shift
        if limb + 1 < count:
            value |= limbs[limb + 1, lane] << (_BITS - shift)
        if limb + 2 < count and shift > np.uint64(40):
            value |= limbs[limb + 2, lane] << (np.uint64(104) - shift)
        words[row, word] = value


@kernel
def reduce_once(values: Any, lane: int, first: int, modulus: Any, h: int) -> bool:
    """Subtract N from limbs `first` to `first + h` of a lane if they are at least N."""
    for j in range(h - 1, -1, -1):
        if values[first + j, lane] != modulus[j]:
            if values[first + j, lane] < modulus[j]:
                return False
            break
    borrow = _ZERO
    for j in range(h):
        value = values[first + j, lane] - modulus[j] - borrow
        borrow = value >> np.uint64(63)
        values[first + j, lane] = value & _MASK
    return True


@kernel
def increment(values: Any, lane: int, first: int, h: int) -> None:
    """Add one to limbs `first` to `first + h` of a lane."""
    j = 0
    while j < h:
        if values[first + j, lane] != _MASK:
            values[first + j, lane] += np.uint64(1)
            return
        values[first + j, lane] = _ZERO
        j += 1


@kernel
def add_lanes(out: Any, other: Any, first: int, h: int) -> None:
    """out += other on limbs `first` to `first + h`, carried."""
    for j in range(first, first + h):
        for lane in range(8):
            out[j, lane] += other[j, lane]
    carry(out, out, first, first + h, _ZERO)


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
    x, y, acc = aligned(2 * h), aligned(2 * h), aligned(2 * h)
    for i in range(start, stop, 8):
        gather(x, a, pick(left, i, stop))
        gather(y, b, pick(right, i, stop))
        pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            scatter(out, to[i + lane], x, lane)


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

    The last row of `a` must be one: lanes whose segment has ended multiply by it. Segments
    should come by falling length.
    """
    x, y, acc = aligned(2 * h), aligned(2 * h), aligned(2 * h)
    spare = len(a) - 1
    rows = np.empty(8, dtype=np.int64)
    first = np.empty(8, dtype=np.int64)
    length = np.empty(8, dtype=np.int64)
    for i in range(start, stop, 8):
        longest = 0
        for lane in range(8):
            length[lane] = 0
            if i + lane < stop:
                segment = segments[i + lane]
                first[lane] = offsets[segment]
                length[lane] = offsets[segment + 1] - first[lane]
                longest = max(longest, length[lane])
            rows[lane] = order[first[lane]] if length[lane] > 0 else spare
        gather(x, a, pick(rows, 0, 8))
        for lane in range(8):
            rows[lane] = order[first[lane] + 1] if length[lane] > 1 else spare
        for t in range(1, longest):
            gather(y, a, pick(rows, 0, 8))
            for lane in range(8):
                rows[lane] = order[first[lane] + t + 1] if t + 1 < length[lane] else spare
                if t + 1 < length[lane]:
                    prefetch(a, rows[lane], a.shape[1])
            pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            scatter(out, segments[i + lane], x, lane)


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
    running, sums, y, acc = aligned(2 * h), aligned(2 * h), aligned(2 * h), aligned(2 * h)
    rows = np.empty(8, dtype=np.int64)
    for i in range(start, stop, 8):
        for bucket in range(buckets - 1, -1, -1):
            for lane in range(8):
                rows[lane] = min(i + lane, stop - 1) * buckets + bucket
            gather(y, a, pick(rows, 0, 8))
            if bucket == buckets - 1:
                copy(running, y, 2 * h)
                copy(sums, y, 2 * h)
            else:
                pair_product(running, running, y, modulus, shift, inverse, h, acc)
                pair_product(sums, sums, running, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            scatter(total, i + lane, sums, lane)
            scatter(product, i + lane, running, lane)


@kernel
def power_rows(
    out: Any,
    a: Any,
    digits: Any,
    window: int,
    one: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[i] = a[i]^e[i], digits of e in base 2^window, most significant first.

    `digits` is `uint64[n, k]`, or one row for all. Every entry of the table of powers is read
    for every digit, and every digit costs the same, so neither addresses nor time tell e.
    """
    size = 2 * h
    entries = 1 << window
    flat = aligned(entries * size)
    table = flat.reshape(entries, size, 8)
    x, y, acc, twice = aligned(size), aligned(size), aligned(size), aligned(size)
    wanted = aligned(1)
    rows = np.empty(8, dtype=np.int64)
    shared = len(digits) == 1
    spread(table[0], one)
    for i in range(start, stop, 8):
        for lane in range(8):
            rows[lane] = min(i + lane, stop - 1)
        gather(table[1], a, pick(rows, 0, 8))
        for k in range(2, entries):
            pair_product(table[k], table[k - 1], table[1], modulus, shift, inverse, h, acc)
        for k in range(digits.shape[1]):
            for lane in range(8):
                wanted[0, lane] = digits[0 if shared else rows[lane], k]
            select_row(y, flat, size, entries, wanted)
            if k == 0:
                copy(x, y, size)
            else:
                for _ in range(window):
                    pair_square(x, x, modulus, shift, inverse, h, acc, twice)
                pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            scatter(out, i + lane, x, lane)


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
    """out[i] = product over k of table[k entries + digits[i, k]], a table row for every digit.

    Blocks of rows go through the windows together, so that a window's entries stay in the
    cache. `scan` reads all entries of a window for every digit.
    """
    size = 2 * h
    y, acc = aligned(size), aligned(size)
    held = aligned(_BATCH * size).reshape(_BATCH, size, 8)
    wanted = aligned(1)
    rows = np.empty(8, dtype=np.int64)
    for base in range(start, stop, 8 * _BATCH):
        for k in range(digits.shape[1]):
            for block in range(_BATCH):
                i = base + 8 * block
                if i >= stop:
                    break
                x = held[block]
                for lane in range(8):
                    digit = digits[min(i + lane, stop - 1), k]
                    wanted[0, lane] = np.uint64(digit)
                    rows[lane] = k * entries + digit
                if scan:
                    select_entry(y, table, size, k * entries, entries, wanted)
                else:
                    gather(y, table, pick(rows, 0, 8))
                if k == 0:
                    copy(x, y, size)
                else:
                    pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for block in range(_BATCH):
            i = base + 8 * block
            for lane in range(min(8, stop - i)):
                scatter(out, i + lane, held[block], lane)


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
    y, acc = aligned(h), aligned(h)
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
def load_rows(
    out: Any,
    words: Any,
    constants: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """Words to Montgomery form: chunks of h limbs, chunk k times constants[k] = R^(k + 2)."""
    size = 2 * h
    chunks = len(constants)
    x, y, acc, total = aligned(size), aligned(size), aligned(size), aligned(size)
    factor = aligned(chunks * size).reshape(chunks, size, 8)
    for k in range(chunks):
        spread(factor[k], constants[k])
    for i in range(start, stop, 8):
        for k in range(chunks):
            clear(x, size)
            for lane in range(8):
                read_limbs(x, lane, words, min(i + lane, stop - 1), k * h, h)
            pair_product(y, x, factor[k], modulus, shift, inverse, h, acc)
            if k == 0:
                copy(total, y, size)
            else:
                add_lanes(total, y, 0, h)
                add_lanes(total, y, h, h)
        for lane in range(min(8, stop - i)):
            scatter(out, i + lane, total, lane)


@kernel
def dump_rows(
    words: Any,
    a: Any,
    high_only: bool,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """Montgomery form to words: low + high N in [0, N^2), or `high_only`."""
    size = 2 * h
    x, y, acc = aligned(size), aligned(size), aligned(size + 1)
    rows = np.empty(8, dtype=np.int64)
    clear(y, size)
    for lane in range(8):
        y[0, lane] = np.uint64(1)
    for i in range(start, stop, 8):
        for lane in range(8):
            rows[lane] = min(i + lane, stop - 1)
        gather(x, a, pick(rows, 0, 8))
        pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(8):
            if reduce_once(x, lane, 0, modulus, h):
                increment(x, lane, h, h)
            reduce_once(x, lane, h, modulus, h)
        if high_only:
            for j in range(h):
                for lane in range(8):
                    x[j, lane] = x[h + j, lane]
        else:
            clear(acc, size + 1)
            for j in range(h):
                multiply_add_row(acc, x[h:], modulus, j, h)
            for j in range(h):
                for lane in range(8):
                    acc[j, lane] += x[j, lane]
            carry(x, acc, 0, size, _ZERO)
        for lane in range(min(8, stop - i)):
            write_words(words, i + lane, x, lane, h if high_only else size)


@kernel
def plain_rows(
    out: Any,
    a: Any,
    plain: Any,
    square: Any,
    one: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """out[i] = a[i] (1 + m_i N) for words m; `square` is R^2 mod N, `one` the number one."""
    size = 2 * h
    x, y, acc, factor, unit = (
        aligned(size),
        aligned(size),
        aligned(size),
        aligned(h),
        aligned(size),
    )
    rows = np.empty(8, dtype=np.int64)
    spread(factor, square)
    spread(unit, one)
    for i in range(start, stop, 8):
        for lane in range(8):
            rows[lane] = min(i + lane, stop - 1)
            read_limbs(x, lane, plain, rows[lane], 0, h)
        single_product(x, x, factor, modulus, shift, inverse, h, acc)
        copy(y, unit, size)
        for j in range(h):
            for lane in range(8):
                y[h + j, lane] += x[j, lane]
        carry(y, y, h, size, _ZERO)
        gather(x, a, pick(rows, 0, 8))
        pair_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            scatter(out, i + lane, x, lane)


@kernel
def scale_rows(
    out: Any,
    plain: Any,
    factor: Any,
    start: int,
    stop: int,
    modulus: Any,
    shift: Any,
    inverse: Any,
    h: int,
) -> None:
    """Words times `factor` / R mod N, as words."""
    x, y, acc = aligned(h), aligned(h), aligned(h)
    spread(y, factor)
    for i in range(start, stop, 8):
        for lane in range(8):
            read_limbs(x, lane, plain, min(i + lane, stop - 1), 0, h)
        single_product(x, x, y, modulus, shift, inverse, h, acc)
        for lane in range(min(8, stop - i)):
            reduce_once(x, lane, 0, modulus, h)
            write_words(out, i + lane, x, lane, h)


@kernel
def expand_rows(out: Any, plain: Any, factor: Any, limbs: int, start: int, stop: int) -> None:
    """Words of at most `limbs` limbs times `factor`, as whole numbers."""
    size = limbs + len(factor)
    x, acc = aligned(limbs), aligned(size + 1)
    for i in range(start, stop, 8):
        for lane in range(8):
            read_limbs(x, lane, plain, min(i + lane, stop - 1), 0, limbs)
        clear(acc, size + 1)
        for j in range(limbs):
            multiply_add_row(acc, x, factor, j, len(factor))
        carry(acc, acc, 0, size, _ZERO)
        for lane in range(min(8, stop - i)):
            write_words(out, i + lane, acc, lane, size)


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
