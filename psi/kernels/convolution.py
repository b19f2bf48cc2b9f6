"""Four steps of the convolution as LLVM code, on elements of 128 bits in vectors of four."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["SLACK", "TABLE", "WINDOW", "convolve_four"]

WINDOW = 24
"""An element is added to the next one, and by a random bit each to the 23 after that."""
SLACK = 32
"""Elements behind the vector's end that may be written."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FOUR = ir.VectorType(_I64, 8)
_VECTORS = (4 + WINDOW) // 4


def _table() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """For each four bits a mask of four elements."""
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    return np.repeat(bits.astype(bool), 2, axis=1).reshape(-1) * np.uint64(2**64 - 1)


TABLE = _table()


@intrinsic
def _convolve_four(
    _context: Any, vectors: Any, _k: Any, _start: Any, taps: Any, _at: Any, table: Any
) -> Any:
    """Steps `start` to `start + 3` of vector k: element i is added to those its taps name.

    Bit j of taps[at + i] is for element i + 1 + j; bit 0 counts as set. `vectors: uint64[k, m,
    2]`, contiguous; `start` and `at` are multiples of four.
    """

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        def array(i: int) -> Any:
            return context.make_array(signature.args[i])(context, b, args[i])

        def number(value: int) -> Any:
            return ir.Constant(_I64, value)

        whole = array(0)
        length = b.extract_value(whole.shape, 1)
        first = b.mul(b.add(b.mul(args[1], length), args[2]), number(2))
        base = b.gep(whole.data, [first])
        places = [
            b.bitcast(b.gep(base, [number(8 * i)]), _FOUR.as_pointer()) for i in range(_VECTORS)
        ]
        z = [b.load(place, align=8) for place in places]
        bits_at, masks = b.gep(array(3).data, [args[4]]), array(5).data
        for step in range(4):
            pair = ir.Constant(ir.VectorType(_I32, 8), [2 * step, 2 * step + 1] * 4)
            one = b.shuffle_vector(z[0], ir.Constant(_FOUR, ir.Undefined), pair)
            tap = b.zext(b.load(b.gep(bits_at, [number(step)]), align=4), _I64)
            tap = b.and_(b.or_(tap, number(1)), number((1 << WINDOW) - 1))
            tap = b.shl(tap, number(step + 1))
            for i in range(_VECTORS):
                if step == 3 and i == 0:
                    continue
                four = b.and_(b.lshr(tap, number(4 * i)), number(15))
                place = b.gep(masks, [b.shl(four, number(3))])
                mask = b.load(b.bitcast(place, _FOUR.as_pointer()), align=8)
                z[i] = b.xor(z[i], b.and_(one, mask))
        for value, place in zip(z, places, strict=True):
            b.store(value, place, align=8)
        return context.get_dummy_value()

    index = types.int64
    return types.void(vectors, index, index, taps, index, table), generate


convolve_four: Any = _convolve_four
