"""The field of 2^128 elements: polynomials over bits modulo x^128 + x^7 + x^2 + x + 1.

An element is two 64-bit words, the low one first; addition is exclusive or. Products use the
CPU's carry-less multiplication where it has one. The portable way multiplies integers whose
bits stand four apart, so that carries run into gaps and no branch or table index depends on a
value. Source of that: the GHASH of BearSSL (Pornin), which does the same in 32 and 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.cache import kernel, part
from psi.kernels.simd import block_path, parallel_rows, readonly

__all__ = ["add_products", "combine", "multiply", "reduced", "wide_product"]

Elements = np.ndarray[Any, np.dtype[np.uint64]]

_numba: Any = types
_PAIR = _numba.UniTuple(types.uint64, 2)
_I64, _I32 = ir.IntType(64), ir.IntType(32)
_V2 = ir.VectorType(_I64, 2)
_HOLES = np.array([sum(1 << i for i in range(shift, 64, 4)) for shift in range(4)], np.uint64)


@intrinsic
def _pclmul(_context: Any, _x: Any, _y: Any) -> Any:
    """The carry-less product of two words: (low, high)."""

    def generate(_inner: Any, b: Any, _signature: Any, args: Any) -> Any:
        name, byte = "llvm.x86.pclmulqdq", ir.IntType(8)
        function = b.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(_V2, [_V2, _V2, byte])
            function = ir.Function(b.module, kind, name)
        zero, none = ir.Constant(_I32, 0), ir.Constant(_V2, ir.Undefined)
        x, y = (b.insert_element(none, value, zero) for value in args)
        product = b.call(function, [x, y, ir.Constant(byte, 0)])
        halves = ir.Constant(ir.ArrayType(_I64, 2), ir.Undefined)
        for i in range(2):
            word = b.extract_element(product, ir.Constant(_I32, i))
            halves = b.insert_value(halves, word, i)
        return halves

    return _PAIR(types.uint64, types.uint64), generate


@part
def _reversed(x):  # type: ignore[no-untyped-def]
    """The bits of a word in the other order."""
    for shift, mask in (
        (1, 0x5555555555555555),
        (2, 0x3333333333333333),
        (4, 0x0F0F0F0F0F0F0F0F),
        (8, 0x00FF00FF00FF00FF),
        (16, 0x0000FFFF0000FFFF),
        (32, 0x00000000FFFFFFFF),
    ):
        kept, by = np.uint64(mask), np.uint64(shift)
        x = ((x >> by) & kept) | ((x & kept) << by)
    return x


@part
def _low_product(x, y):  # type: ignore[no-untyped-def]
    """The low word of the carry-less product, by integer products of bits four apart."""
    total = np.uint64(0)
    for k in range(4):
        term = np.uint64(0)
        for i in range(4):
            term ^= (x & _HOLES[i]) * (y & _HOLES[(k - i) & 3])
        total |= term & _HOLES[k]
    return total


@part
def _clmul_portable(x, y):  # type: ignore[no-untyped-def]
    high = _reversed(_low_product(_reversed(x), _reversed(y)))
    return _low_product(x, y), high >> np.uint64(1)


_clmul: Any = _clmul_portable if block_path() == "portable" else _pclmul


@part
def wide_product(x0, x1, y0, y1):  # type: ignore[no-untyped-def]
    """(x1 x^64 + x0) (y1 x^64 + y0): three carry-less products of two words each (Karatsuba).

    Of the low words, the high words, and of both sums. `reduced` takes their sums too.
    """
    r0, r1 = _clmul(x0, y0)
    r2, r3 = _clmul(x1, y1)
    m0, m1 = _clmul(x0 ^ x1, y0 ^ y1)
    return r0, r1, r2, r3, m0, m1


@part
def reduced(r0, r1, r2, r3, m0, m1):  # type: ignore[no-untyped-def]
    """The field's element that a wide product stands for."""
    m0 ^= r0 ^ r2
    m1 ^= r1 ^ r3
    r1 ^= m0
    r2 ^= m1
    # x^128 = x^7 + x^2 + x + 1: first the top word, then the one below it
    f0, f1 = _clmul(r3, np.uint64(0x87))
    r1 ^= f0
    r2 ^= f1
    f0, f1 = _clmul(r2, np.uint64(0x87))
    return r0 ^ f0, r1 ^ f1


@part
def multiply(x0, x1, y0, y1):  # type: ignore[no-untyped-def]
    """(x1 x^64 + x0) (y1 x^64 + y0) in the field: its two words."""
    r0, r1, r2, r3, m0, m1 = wide_product(x0, x1, y0, y1)
    return reduced(r0, r1, r2, r3, m0, m1)


@kernel
def _add_rows(low, high, factors, by, out):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        r0, r1 = multiply(factors[i, 0], factors[i, 1], by[0], by[1])
        out[i, 0] ^= r0
        out[i, 1] ^= r1


@kernel
def _combine_rows(low, high, rows, out):  # type: ignore[no-untyped-def]
    """out[i] = sum of x^j rows[j, i], by Horner's rule."""
    for i in range(low, high):
        a0, a1 = np.uint64(0), np.uint64(0)
        for j in range(len(rows) - 1, -1, -1):
            carry = (np.uint64(0) - (a1 >> np.uint64(63))) & np.uint64(0x87)
            a1 = (a1 << np.uint64(1)) | (a0 >> np.uint64(63))
            a0 = (a0 << np.uint64(1)) ^ carry
            a0 ^= rows[j, i, 0]
            a1 ^= rows[j, i, 1]
        out[i, 0], out[i, 1] = a0, a1


def add_products(out: Elements, factors: Elements, by: Elements) -> None:
    """out[i] += factors[i] · by, in place: `uint64[n, 2]`, `uint64[n, 2]`, `uint64[2]`."""
    parallel_rows(_add_rows, len(out), readonly(factors), readonly(by), out, least=4096)


def combine(rows: Elements) -> Elements:
    """Σ_j x^j rows[j, i] for every i: `uint64[k, n, 2]` to `uint64[n, 2]`, k at most 128."""
    out = np.empty((rows.shape[1], 2), np.uint64)
    parallel_rows(_combine_rows, len(out), readonly(rows), out, least=1024)
    return out
