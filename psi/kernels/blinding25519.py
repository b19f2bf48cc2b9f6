"""Additive blinds on Curve25519: 8 E(x) + R, and what came of it less k R, many items at a time.

The blind's side of both is a multiple of a public point (see `comb25519`), which takes a
quarter of the work of a ladder. Coordinates u do not say which of P and -P is meant, so nothing
here needs signs: any of the two points over E(x) does, and of what comes back, V = ±k (8 E(x) +
R), both V + k R and V - k R are given. One of them is ±8 k E(x), times eight, the other a
stranger. A coordinate that no point of the curve has comes out as zero, like those of low order.

Sources: RFC 9380, sections 6.7.1 and 8.5 (Elligator 2; the candidate is the one of
`curve25519.encode_to_curve`), and section F.3 for the square root that goes with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.batches25519 import (
    BATCH,
    DIVIDEND,
    DIVISOR,
    ROWS,
    divide,
    root_power,
    unpack,
    workspace,
)
from psi.kernels.cache import kernel, part
from psi.kernels.comb25519 import (
    DIGIT_WORDS,
    ROOT_OF_EDWARDS,
    SQRT_MINUS_ONE,
    TWICE_D,
    comb,
    comb_table,
)
from psi.kernels.curve25519 import point_words
from psi.kernels.field25519 import field_program
from psi.kernels.hashing import expand_words
from psi.kernels.lanes25519 import PRIME
from psi.kernels.rows25519 import BLOCK, ROW
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["BASE", "DIGIT_WORDS", "blind_items", "unblind"]

Points = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

BASE = 9
"""The u-coordinate of the base point, which has the prime order."""

_CHUNK = 1 << 16
_I, _ROOT_2, _SCALE, _2D = 40, 41, 42, 43
_CONSTANTS = (SQRT_MINUS_ONE, pow(2, (PRIME + 3) // 8, PRIME), ROOT_OF_EDWARDS, TWICE_D)
_X, _Y, _Z, _T = 24, 25, 26, 27
"""The point that a comb adds to."""
_V = 28
"""A point set aside: its four rows."""
_A, _B, _W = 32, 33, 34
"""u = a / b, and w = v b^2 for a v that goes with it."""
_H, _R, _D = 35, 36, 37
_P, _Q, _S = 0, 1, 2

_TO_ROOT = root_power(_H, _R, 12)


def _adopt_where(x: int, op: str, y: int, *pairs: tuple[int, int | str]) -> list[tuple[Any, ...]]:
    """Rows take others' values where x `op` y, "subtract" or "add", is zero."""
    return [(op, _D, x, y), *(("adopt", row, other, _D) for row, other in pairs)]


_TO_EDWARDS = [
    # (X : Y : Z : T) = (s a b (a + b) : w (a - b) : w (a + b) : s a b (a - b))
    ("add", _P, _A, _B),
    ("subtract", _Q, _A, _B),
    ("multiply", _S, _A, _B),
    ("multiply", _S, _S, _SCALE),
    ("multiply", _X, _S, _P),
    ("multiply", _Y, _W, _Q),
    ("multiply", _Z, _W, _P),
    ("multiply", _T, _S, _Q),
]
_U, _W2, _J, _MINUS_J, _H2 = 4, 5, 6, 7, 8
_map_point = field_program(
    "map_point",
    # u = a + 19 b, w2 = 2 u^2, the divisor 1 + w2; candidates -J and -J w2
    ("constant", _P, 19),
    ("multiply", "b", "b", _P),
    ("add", _U, "a", "b"),
    ("square", _W2, _U),
    ("add", _W2, _W2, _W2),
    ("constant", _P, 1),
    ("add", _B, _W2, _P),
    ("constant", _J, 486662),
    ("subtract", _Q, _P, _J),
    ("subtract", _MINUS_J, _Q, _P),
    # h = d J (J^2 w2 - d^2) is d^4 times the curve's equation of the first candidate
    ("square", _P, _B),
    ("square", _H, _J),
    ("multiply", _H, _H, _W2),
    ("subtract", _H, _H, _P),
    ("multiply", _H, _H, _J),
    ("multiply", _H, _H, _B),
    *_TO_ROOT,
    # the second candidate's is w2 h, and u 2^((p + 3) / 8) r its root or that of its negative
    ("multiply", _A, _W2, _MINUS_J),
    ("multiply", _H2, _W2, _H),
    ("multiply", _W, _R, _U),
    ("multiply", _W, _W, _ROOT_2),
    # the first where r^2 is h or -h
    ("square", _P, _R),
    *_adopt_where(_P, "subtract", _H, (_A, _MINUS_J), (_H2, _H), (_W, _R)),
    *_adopt_where(_P, "add", _H, (_A, _MINUS_J), (_H2, _H), (_W, _R)),
    # a root of the negative becomes one by the root of -1
    ("multiply", _Q, _W, _I),
    ("square", _P, _W),
    *_adopt_where(_P, "add", _H2, (_W, _Q)),
    *_TO_EDWARDS,
)
_lift = field_program(
    "lift",
    # h = a (a^2 + J a + 1)
    ("constant", _B, 1),
    ("square", _P, "a"),
    ("constant", _J, 486662),
    ("multiply", _H, "a", _J),
    ("add", _P, _P, _H),
    ("add", _P, _P, _B),
    ("multiply", _H, _P, "a"),
    *_TO_ROOT,
    # all zero where there is no root
    ("constant", _W, 0),
    ("constant", _A, 0),
    ("multiply", _Q, _R, _I),
    ("square", _P, _R),
    *_adopt_where(_P, "subtract", _H, (_W, _R), (_A, "a")),
    *_adopt_where(_P, "add", _H, (_W, _Q), (_A, "a")),
    *_TO_EDWARDS,
)
_twice = field_program(
    "twice",
    ("square", _P, _X),
    ("square", _Q, _Y),
    ("square", _S, _Z),
    ("add", _S, _S, _S),
    ("add", _H, _P, _Q),
    ("subtract", _Q, _P, _Q),
    ("add", _P, _X, _Y),
    ("square", _P, _P),
    ("subtract", _P, _H, _P),
    ("add", _S, _S, _Q),
    ("multiply", _X, _P, _S),
    ("multiply", _Y, _Q, _H),
    ("multiply", _Z, _S, _Q),
    ("multiply", _T, _P, _H),
)
_to_u = field_program("to_u", ("add", "a", _Z, _Y), ("subtract", "b", _Z, _Y))
_set_aside = field_program("set_aside", *(("copy", _V + i, _X + i) for i in range(4)))
_neutral = field_program(
    "neutral",
    ("constant", _X, 0),
    ("constant", _Y, 1),
    ("constant", _Z, 1),
    ("constant", _T, 0),
)
_P1, _M1, _P2, _M2, _C, _2ZZ = 4, 5, 6, 7, 8, 9
_prepare = field_program(
    "prepare",
    ("add", _P1, _V + 1, _V),
    ("subtract", _M1, _V + 1, _V),
    ("add", _P2, _Y, _X),
    ("subtract", _M2, _Y, _X),
    ("multiply", _C, _V + 3, _T),
    ("multiply", _C, _C, _2D),
    ("multiply", _2ZZ, _V + 2, _Z),
    ("add", _2ZZ, _2ZZ, _2ZZ),
)
_plus = field_program(
    # u of V + R: (f + h : f - h), for g drops out
    "plus",
    ("multiply", _P, _M1, _M2),
    ("multiply", _Q, _P1, _P2),
    ("add", _P, _P, _Q),
    ("subtract", _Q, _2ZZ, _C),
    ("add", "a", _Q, _P),
    ("subtract", "b", _Q, _P),
)
_minus = field_program(
    "minus",
    ("multiply", _P, _M1, _P2),
    ("multiply", _Q, _P1, _M2),
    ("add", _P, _P, _Q),
    ("add", _Q, _2ZZ, _C),
    ("add", "a", _Q, _P),
    ("subtract", "b", _Q, _P),
)
_twice_u = field_program(
    # RFC 7748's doubling
    "twice_u",
    ("add", _P, "a", "b"),
    ("subtract", _Q, "a", "b"),
    ("square", _P, _P),
    ("square", _Q, _Q),
    ("subtract", _S, _P, _Q),
    ("multiply", "a", _P, _Q),
    ("scaled", _P, _S, _P),
    ("multiply", "b", _S, _P),
)
_comb = comb(_X)


@part
def _set_constants(constants, work):  # type: ignore[no-untyped-def]
    """The constants into their rows."""
    for place in range(len(constants)):
        unpack(constants[place : place + 1], 0, 0, work, _I + place)


@part
def _take_digits(blinds, first, digits):  # type: ignore[no-untyped-def]
    """The digit words of BLOCK rows, past the end the last row's again."""
    for k in range(BLOCK):
        row = min(first + k, len(blinds) - 1)
        for word in range(DIGIT_WORDS):
            digits[word * BLOCK + k] = blinds[row, word]


@kernel
def _blind_rows(low, high, uniform, blinds, table, constants, out):  # type: ignore[no-untyped-def]
    work = workspace(ROWS * ROW)
    digits = workspace(DIGIT_WORDS * BLOCK)
    _set_constants(constants, work)
    for start in range(low, high, BATCH * BLOCK):
        count = min(BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            first = start + i * BLOCK
            unpack(uniform, first, 0, work, 38)
            unpack(uniform, first, 255, work, 39)
            _map_point(work, 38, 39, 0)
            for _ in range(3):
                _twice(work, 0, 0, 0)
            _take_digits(blinds, first, digits)
            _comb(work, digits, table)
            _to_u(work, DIVIDEND + i, DIVISOR + i, 0)
        divide(work, out, start, high, count)


@kernel
def _unblind_rows(low, high, points, blinds, table, constants, plus, minus):  # type: ignore[no-untyped-def]
    work, other = workspace(ROWS * ROW), workspace(ROWS * ROW)
    digits = workspace(DIGIT_WORDS * BLOCK)
    _set_constants(constants, work)
    for start in range(low, high, BATCH * BLOCK):
        count = min(BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            first = start + i * BLOCK
            unpack(points, first, 0, work, 38)
            _lift(work, 38, 0, 0)
            _set_aside(work, 0, 0, 0)
            _neutral(work, 0, 0, 0)
            _take_digits(blinds, first, digits)
            _comb(work, digits, table)
            _prepare(work, 0, 0, 0)
            x, z = DIVIDEND + i, DIVISOR + i
            _minus(work, x, z, 0)
            for _ in range(3):
                _twice_u(work, x, z, 0)
            for word in range(ROW):
                other[x * ROW + word] = work[x * ROW + word]
                other[z * ROW + word] = work[z * ROW + word]
            _plus(work, x, z, 0)
            for _ in range(3):
                _twice_u(work, x, z, 0)
        divide(work, plus, start, high, count)
        divide(other, minus, start, high, count)


def _constants() -> Words:
    data = b"".join(value.to_bytes(32, "little") for value in _CONSTANTS)
    return readonly(np.frombuffer(data, "<u8").reshape(-1, 4))


def blind_items(data: Any, offsets: Any, dst: bytes, blinds: Words) -> Points:
    """u of 8 E(x) + R for every string, R the multiple of the base point that its digits say.

    `data: uint8[]` and `offsets: int64[n + 1]` are an Arrow string column, `blinds:
    uint64[n, DIGIT_WORDS]` uniform bits; returns `uint8[n, 32]`.
    """
    out = np.empty((len(offsets) - 1, 4), "<u8")
    if blinds.shape != (len(out), DIGIT_WORDS):
        raise ValueError(f"blinds of shape {blinds.shape} found, one an item allowed")
    table = comb_table(BASE).reshape(-1)
    for first in range(0, len(out), _CHUNK):
        piece = out[first : first + _CHUNK]
        uniform = expand_words(data, offsets[first : first + len(piece) + 1], dst)
        chosen = readonly(blinds[first : first + len(piece)])
        args = (readonly(uniform), chosen, table, _constants(), piece)
        parallel_rows(_blind_rows, len(piece), *args, block=BLOCK)
    return out.view(np.uint8)


def unblind(points: Points, public: int, blinds: Words) -> tuple[Points, Points]:
    """u of 8 (V + K) and 8 (V - K) for every point, K the multiple of `public` by its digits.

    Zero where V is no point of the curve or a result is of low order. Raises `ValueError` if
    `public` is no point of the curve, or of low order.
    """
    if blinds.shape != (len(points), DIGIT_WORDS):
        raise ValueError(f"blinds of shape {blinds.shape} found, one a point allowed")
    plus, minus = (np.empty((len(points), 4), "<u8") for _ in range(2))
    table = comb_table(public).reshape(-1)
    if len(points):
        args = (point_words(points), readonly(blinds), table, _constants(), plus, minus)
        parallel_rows(_unblind_rows, len(points), *args, block=BLOCK)
    return plus.view(np.uint8), minus.view(np.uint8)
