"""Between words and Montgomery form, and products of plain numbers with pairs.

Words are rows `uint64[n, W]`; other arguments and layout as in montgomery_rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_blocks import (
    add_lanes,
    block,
    copy,
    increment,
    read_limbs,
    reduce_once,
    spread,
    write_words,
)
from psi.kernels.montgomery_lanes import aligned, carry, clear, gather, multiply_add_row, scatter
from psi.kernels.montgomery_products import half_product, pair_product, single_product

__all__ = ["dump_rows", "expand_rows", "load_rows", "plain_rows", "scale_rows"]

_ZERO = np.uint64(0)


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
