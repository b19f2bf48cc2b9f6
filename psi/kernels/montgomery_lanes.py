"""Eight numbers side by side: into lanes and out of them, carried, selected from tables.

A number is h limbs of b bits (see `multipliers`); eight are `uint64[h, 8]`. Products
are in montgomery_products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from psi.kernels.cache import kernel
from psi.kernels.montgomery_emit import (
    INDEX,
    LANES,
    LIMB_MASK,
    VECTOR,
    WORD,
    Emitter,
    intrinsic,
    loop,
)

__all__ = [
    "aligned",
    "carry",
    "clear",
    "gather",
    "multiply_add_row",
    "prefetch",
    "scatter",
    "select_entry",
    "select_row",
]


@kernel
def aligned(rows: int) -> Any:
    """Uninitialised `uint64[rows, 8]` on a cache line."""
    raw = np.empty(8 * rows + 8, dtype=np.uint64)
    offset = ((64 - raw.ctypes.data % 64) % 64) // 8
    return raw[offset : offset + 8 * rows].reshape(rows, 8)


@intrinsic
def clear(typing: Any, acc: Any, stop: Any) -> Any:
    """Set limbs 0 to stop to zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = Emitter(context, builder, signature, args)
        target = e.vectors(0)

        def body(index: Any) -> list[Any]:
            e.store(e.zero, target, index)
            return []

        loop(builder, ir.Constant(WORD, 0), args[1], [], body)
        return context.get_dummy_value()

    return types.void(acc, types.int64), generate


@intrinsic
def carry(typing: Any, out: Any, acc: Any, start: Any, stop: Any, shift: Any) -> Any:
    """Normalise limbs start to stop of an accumulator, times 2^shift, into `out`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        target, source, by = e.vectors(0), e.vectors(1), e.splat(args[4])

        def body(index: Any, carry: Any) -> list[Any]:
            total = b.add(b.shl(e.load(source, index), by), carry)
            e.store(b.and_(total, e.constant(LIMB_MASK)), target, index)
            return [e.over(total)]

        loop(b, args[2], args[3], [e.zero], body)
        return context.get_dummy_value()

    return types.void(out, acc, types.int64, types.int64, types.uint64), generate


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Eight vectors as the rows of a square, to its columns: three rounds of shuffles."""
    rounds = (
        (1, [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
        (2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
        (4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
    )
    for step, *masks in rounds:
        low, high = (ir.Constant(ir.VectorType(INDEX, LANES), mask) for mask in masks)
        shuffled = list(rows)
        for k in range(LANES):
            if not k & step:
                shuffled[k] = builder.shuffle_vector(rows[k], rows[k + step], low)
                shuffled[k + step] = builder.shuffle_vector(rows[k], rows[k + step], high)
        rows = shuffled
    return rows


def _move(context: Any, builder: Any, signature: Any, args: Any, to_lanes: bool) -> Any:
    """Between `uint64[width, 8]` lanes and eight rows: args are lanes, array, index, width."""
    e, b = Emitter(context, builder, signature, args), builder
    lanes, array, index, width = e.vectors(0), e.scalars(1), e.scalars(2), args[3]
    numbers = [b.load(b.gep(index, [ir.Constant(WORD, k)])) for k in range(LANES)]
    bases = [b.gep(array, [b.mul(number, width)]) for number in numbers]
    final = b.sub(width, ir.Constant(WORD, LANES))

    def body(position: Any) -> list[Any]:
        # the last square overlaps the one before where 8 does not divide the width
        past = b.icmp_signed(">", position, final)
        j = b.select(past, final, position)
        spots = [b.bitcast(b.gep(base, [j]), VECTOR.as_pointer()) for base in bases]
        if to_lanes:
            for k, value in enumerate(_transpose(b, [b.load(spot, align=8) for spot in spots])):
                e.store(value, lanes, e.at(j, k))
        else:
            limbs = [e.load(lanes, e.at(j, k)) for k in range(LANES)]
            for value, spot in zip(_transpose(b, limbs), spots, strict=True):
                b.store(value, spot, align=8)
        return []

    loop(b, ir.Constant(WORD, 0), width, [], body, step=LANES)
    return context.get_dummy_value()


@intrinsic
def gather(typing: Any, lanes: Any, array: Any, index: Any, width: Any) -> Any:
    """lanes[j, k] = array[index[k], j] for `uint64[n, width]`, width at least 8."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _move(context, builder, signature, args, True)

    return types.void(lanes, array, index, types.int64), generate


@intrinsic
def scatter(typing: Any, array: Any, index: Any, lanes: Any, width: Any) -> Any:
    """array[index[k], j] = lanes[j, k]; lanes that share a row must be equal."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        swapped = types.void(lanes, array, index, types.int64)
        moved = [args[2], args[0], args[1], args[3]]
        return _move(context, builder, swapped, moved, False)

    return types.void(array, index, lanes, types.int64), generate


@intrinsic
def multiply_add_row(typing: Any, acc: Any, x: Any, y: Any, i: Any, h: Any) -> Any:
    """acc[i:] += x[i] y for `uint64[., 8]` acc and x, and y of h scalar limbs; no carries."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        source, row, size = e.scalars(2), args[3], args[4]
        digit = e.factor(e.load(e.vectors(1), row))
        target = b.gep(e.vectors(0), [row])

        def body(index: Any, before: Any) -> list[Any]:
            now = e.factor(e.broadcast(source, index))
            total = e.high(e.low(e.load(target, index), now, digit), before, digit)
            e.store(total, target, index)
            return [now]

        last = loop(b, ir.Constant(WORD, 0), size, [e.factor(e.zero)], body)[0]
        e.store(e.high(e.load(target, size), last, digit), target, size)
        return context.get_dummy_value()

    return types.void(acc, x, y, types.int64, types.int64), generate


def _select(
    builder: Any, e: Emitter, target: Any, rows: Any, count: Any, wanted: Any, read: Any
) -> None:
    """target[j] = read(k, j) where k is wanted, over all k below count, four limbs at a time."""
    zero, group = ir.Constant(WORD, 0), 4

    def limbs(j: Any) -> list[Any]:
        def entry(k: Any, number: Any, *totals: Any) -> list[Any]:
            same = builder.icmp_unsigned("==", wanted, number)
            kept = [
                builder.select(same, read(k, e.at(j, place)), total)
                for place, total in enumerate(totals)
            ]
            return [builder.add(number, e.constant(1)), *kept]

        _, *found = loop(builder, zero, count, [e.zero] * (1 + group), entry)
        for place, value in enumerate(found):
            e.store(value, target, e.at(j, place))
        return []

    loop(builder, zero, rows, [], limbs, step=group)


@intrinsic
def select_row(typing: Any, out: Any, table: Any, rows: Any, count: Any, digits: Any) -> Any:
    """out[j, lane] = table[digits[lane], j, lane], reading all of `uint64[count, rows, 8]`.

    rows is a multiple of four, as the limbs of a pair are.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        source, rows = e.vectors(1), args[2]
        wanted = e.load(e.vectors(4), ir.Constant(WORD, 0))

        def read(k: Any, j: Any) -> Any:
            return e.load(source, b.add(b.mul(k, rows), j))

        _select(b, e, e.vectors(0), rows, args[3], wanted, read)
        return context.get_dummy_value()

    return types.void(out, table, types.int64, types.int64, digits), generate


@intrinsic
def select_entry(
    typing: Any, out: Any, table: Any, rows: Any, first: Any, count: Any, digits: Any
) -> Any:
    """out[j, lane] = table[first + digits[lane], j], reading `count` rows of `uint64[n, rows]`.

    rows is a multiple of four.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        rows = args[2]
        source = b.gep(e.scalars(1), [b.mul(args[3], rows)])
        wanted = e.load(e.vectors(5), ir.Constant(WORD, 0))

        def read(k: Any, j: Any) -> Any:
            return e.broadcast(source, b.add(b.mul(k, rows), j))

        _select(b, e, e.vectors(0), rows, args[4], wanted, read)
        return context.get_dummy_value()

    return types.void(out, table, types.int64, types.int64, types.int64, digits), generate


@intrinsic
def prefetch(typing: Any, array: Any, row: Any, words: Any) -> Any:
    """Ask for row `row` of `uint64[n, words]` to come into the cache."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, INDEX, INDEX, INDEX])
        fetch = e.declare("llvm.prefetch.p0i8", kind)
        base = b.gep(e.scalars(0), [b.mul(args[1], args[2])])

        def body(index: Any) -> list[Any]:
            line = b.bitcast(b.gep(base, [index]), byte)
            b.call(fetch, [line, *(ir.Constant(INDEX, k) for k in (0, 3, 1))])
            return []

        loop(b, ir.Constant(WORD, 0), args[2], [], body, step=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate
