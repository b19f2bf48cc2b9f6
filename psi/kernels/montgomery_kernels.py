"""Whole-vector operations on pairs in lanes, for montgomery_wide.

Arrays: residues `uint64[n, 2 h]`, a row the low half's limbs, then the high half's, in
Montgomery form; words `uint64[n, W]`. Every function takes a range of rows, reads eight of them
into lanes at a time, and releases the interpreter's lock. `ring` arguments are N's limbs, the
shift that `pair_product` needs, -1/N mod 2^b, and h.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_emit import LIMB_BITS, LIMB_MASK
from psi.kernels.montgomery_lanes import (
    aligned,
    carry,
    clear,
    gather,
    multiply_add_row,
    prefetch,
    scatter,
    select_entry,
    select_row,
)
from psi.kernels.montgomery_products import (
    half_product,
    pair_product,
    pair_square,
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
_WORD = np.uint64(64)
# what a word has beyond a limb, and the bits of two limbs
_SPARE = np.uint64(64 - LIMB_BITS)
_TWO = np.uint64(2 * LIMB_BITS)
# lane blocks that go through the tables of a fixed base together
_BATCH = 256


@kernel
def block(rows: Any, start: int, stop: int) -> None:
    """Row numbers of the lane block at `start`: lanes past `stop` repeat the last row."""
    for lane in range(8):
        rows[lane] = min(start + lane, stop - 1)


@kernel
def pick(rows: Any, index: Any, start: int, stop: int) -> None:
    """The same, through an index."""
    for lane in range(8):
        rows[lane] = index[min(start + lane, stop - 1)]


@kernel
def spread(out: Any, row: Any) -> None:
    """One row into all lanes."""
    for j in range(len(row)):
        for lane in range(8):
            out[j, lane] = row[j]


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
            if shift > _SPARE and word + 1 < width:
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
        if limb + 2 < count and shift > _TWO - _WORD:
            value |= limbs[limb + 2, lane] << (_TWO - shift)
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
    x, y, acc, total = aligned(h), aligned(size), aligned(5 * h), aligned(size)
    rows = np.empty(8, dtype=np.int64)
    factor = aligned(chunks * size).reshape(chunks, size, 8)
    for k in range(chunks):
        spread(factor[k], constants[k])
    for i in range(start, stop, 8):
        for k in range(chunks):
            for lane in range(8):
                read_limbs(x, lane, words, min(i + lane, stop - 1), k * h, h)
            half_product(y, x, factor[k], modulus, shift, inverse, h, acc)
            if k == 0:
                copy(total, y, size)
            else:
                add_lanes(total, y, 0, h)
                add_lanes(total, y, h, h)
        block(rows, i, stop)
        scatter(out, rows, total, size)


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
    x, y, acc = aligned(size), aligned(size), aligned(5 * h)
    rows = np.empty(8, dtype=np.int64)
    clear(y, size)
    for lane in range(8):
        y[0, lane] = np.uint64(1)
    for i in range(start, stop, 8):
        block(rows, i, stop)
        gather(x, a, rows, 2 * h)
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
    x, y, unit = aligned(size), aligned(size), aligned(size)
    acc, factor = aligned(5 * h), aligned(h)
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
        gather(x, a, rows, 2 * h)
        pair_product(x, x, y, modulus, shift, inverse, h, acc)
        scatter(out, rows, x, size)


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
    x, y, acc = aligned(h), aligned(h), aligned(5 * h)
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
