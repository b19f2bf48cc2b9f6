"""Steps of the code as LLVM code, on rows: the elements of all vectors at one place, side by side.

Each step exists for rows of two words (one vector) and of four (two vectors).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["SLACK", "TABLES", "WINDOW", "add_three", "convolve_four"]

WINDOW = 24
"""A row is added to the next one, and by a random bit each to the 23 after that."""
SLACK = 32
"""Rows behind the last one that may be written."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_EIGHT = ir.VectorType(_I64, 8)


def _table(words: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """For each four bits a mask of four rows."""
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    return np.repeat(bits.astype(bool), words, axis=1).reshape(-1) * np.uint64(2**64 - 1)


TABLES = {words: _table(words) for words in (2, 4)}
"""By the words of a row."""


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _data(context: Any, b: Any, signature: Any, args: Any, i: int) -> Any:
    return context.make_array(signature.args[i])(context, b, args[i]).data


def _convolver(words: int) -> Any:
    """Steps `at` to `at + 3` of the room's rows from `start` on: a row is added to those it taps.

    Bit j of taps[at + i] is for row start + at + i + 1 + j; bit 0 counts as set. `room: uint64[m,
    words]`, contiguous; `at` is a multiple of four. Works on vectors of eight words.
    """
    rows = 8 // words
    vectors = (4 + WINDOW) // rows

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        first = b.mul(b.add(args[1], args[3]), _number(words))
        base = b.gep(_data(context, b, signature, args, 0), [first])
        taps = b.gep(_data(context, b, signature, args, 2), [args[3]])
        masks = _data(context, b, signature, args, 4)
        places = [
            b.bitcast(b.gep(base, [_number(8 * i)]), _EIGHT.as_pointer()) for i in range(vectors)
        ]
        z = [b.load(place, align=8) for place in places]
        for step in range(4):
            words_at = [step % rows * words + i for i in range(words)] * rows
            pick = ir.Constant(ir.VectorType(_I32, 8), words_at)
            one = b.shuffle_vector(z[step // rows], ir.Constant(_EIGHT, ir.Undefined), pick)
            tap = b.zext(b.load(b.gep(taps, [_number(step)]), align=4), _I64)
            tap = b.and_(b.or_(tap, _number(1)), _number((1 << WINDOW) - 1))
            tap = b.shl(tap, _number(step + 1))
            for i in range((step + 1) // rows, vectors):
                four = b.and_(b.lshr(tap, _number(i * rows // 4 * 4)), _number(15))
                within = 8 * (i % (4 // rows))
                place = b.gep(masks, [b.add(b.mul(four, _number(4 * words)), _number(within))])
                mask = b.load(b.bitcast(place, _EIGHT.as_pointer()), align=8)
                z[i] = b.xor(z[i], b.and_(one, mask))
        for value, place in zip(z, places, strict=True):
            b.store(value, place, align=8)
        return context.get_dummy_value()

    @intrinsic
    def convolve(_context: Any, room: Any, _start: Any, taps: Any, _at: Any, table: Any) -> Any:
        index = types.int64
        return types.void(room, index, taps, index, table), generate

    return convolve


def _adder(words: int) -> Any:
    """room[row] += room[first] + room[second] + room[third]."""
    kind = ir.VectorType(_I64, words)

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        base = _data(context, b, signature, args, 0)
        places = [
            b.bitcast(b.gep(base, [b.mul(row, _number(words))]), kind.as_pointer())
            for row in args[1:]
        ]
        total, *added = [b.load(place, align=8) for place in places]
        for one in added:
            total = b.xor(total, one)
        b.store(total, places[0], align=8)
        return context.get_dummy_value()

    @intrinsic
    def add(_context: Any, room: Any, _row: Any, _first: Any, _second: Any, _third: Any) -> Any:
        index = types.uint64
        return types.void(room, index, index, index, index), generate

    return add


convolve_four: dict[int, Any] = {words: _convolver(words) for words in (2, 4)}
"""Four steps of the convolution, by the words of a row."""
add_three: dict[int, Any] = {words: _adder(words) for words in (2, 4)}
"""Three rows added to another one, by the words of a row."""
