"""Secret multiples of one public point, by additions only: a comb of odd digits.

A multiplier is 51 digits of five secret bits. Digit v stands for the odd number 2v - 31 in
-31..31, so no addition is of the neutral element and all look alike; the multiplier is
2 sum(v_j 32^j) + c for a constant c, and uniform v_j make it uniform modulo the prime order up
to 2^-127, for 2^255 is that near to a multiple of it. `multiplier` says which number it is.

Each digit picks one of 16 multiples of 32^j times the point. All 16 are read, and masks keep
one: the same instructions and addresses for every digit. Points are twisted Edwards with a = -1
in extended coordinates, whose addition is complete; entries are (y + x) / 2, (y - x) / 2 and
d x y, halved so that an addition takes seven products. Source: Hisil, Wong, Carter and Dawson
2008 ("Twisted Edwards curves revisited", section 3.1); the map from the Montgomery form is that
of RFC 7748, section 4.1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.field25519 import call_operation
from psi.kernels.lanes25519 import PRIME, Element, RegisterLanes
from psi.kernels.rows25519 import (
    ALIGN,
    BLOCK,
    FIELD,
    LANES,
    LIMBS,
    SLOTS,
    Memory,
    data_of,
    function,
    repeat,
)
from psi.kernels.vectors import I64, splat

__all__ = [
    "DIGIT_WORDS",
    "ROOT_OF_EDWARDS",
    "SQRT_MINUS_ONE",
    "TWICE_D",
    "comb",
    "comb_table",
    "lift",
    "multiplier",
]

WINDOW = 5
DIGITS = 51
A_WORD = 12
"""Digits in a 64-bit word."""
DIGIT_WORDS = -(-DIGITS // A_WORD)
"""Words of a multiplier's digits."""
_ENTRIES = 1 << (WINDOW - 1)
_ENTRY = 15
"""Words of an entry: three elements of five 51-bit limbs."""

D = -121665 * pow(121666, -1, PRIME) % PRIME
TWICE_D = 2 * D % PRIME
SQRT_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)

Extended = tuple[int, int, int, int]
Table = np.ndarray[Any, np.dtype[np.uint64]]


def root(value: int) -> int | None:
    """A square root modulo p, or None. Not constant time: for public values."""
    found = pow(value, (PRIME + 3) // 8, PRIME)
    for candidate in (found, found * SQRT_MINUS_ONE % PRIME):
        if candidate * candidate % PRIME == value % PRIME:
            return candidate
    return None


ROOT_OF_EDWARDS: int = root(-486664) or 0
"""x = this times u / v takes Curve25519 to the Edwards curve."""


def lift(u: int) -> Extended | None:
    """One of the two points with this u-coordinate, on the Edwards curve; None: there is none."""
    v = root(u * (u * u + 486662 * u + 1))
    if not v:
        return None
    x = ROOT_OF_EDWARDS * u * pow(v, -1, PRIME) % PRIME
    y = (u - 1) * pow(u + 1, -1, PRIME) % PRIME
    return x, y, 1, x * y % PRIME


def _add(p: Extended, q: Extended) -> Extended:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % PRIME, (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c, d = p[3] * q[3] * TWICE_D % PRIME, 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def multiplier(digits: Any) -> int:
    """The number that a row of digit words stands for, as an integer: for tests."""
    total = 0
    for j in range(DIGITS):
        v = int(digits[j // A_WORD]) >> (WINDOW * (j % A_WORD)) & (1 << WINDOW) - 1
        total += (2 * v - 31) << (WINDOW * j)
    return total


@lru_cache(maxsize=4)
def comb_table(u: int) -> Table:
    """Odd multiples of a public point's powers: `uint64[51, 16, 15]`.

    Raises `ValueError` if `u` is no coordinate of the curve, or of low order.
    """
    base = lift(u)
    low = base
    for _ in range(3):
        low = low and _add(low, low)
    if base is None or low is None or (low[0] == 0 and low[1] == low[2]):
        raise ValueError("no point of the curve, or one of low order")
    points: list[Extended] = []
    for _ in range(DIGITS):
        twice = _add(base, base)
        odd = base
        for _ in range(_ENTRIES):
            points.append(odd)
            odd = _add(odd, twice)
        base = twice
        for _ in range(WINDOW - 1):
            base = _add(base, base)
    inverses = _inverses([point[2] for point in points])
    half = (PRIME + 1) // 2
    words = []
    for point, inverse in zip(points, inverses, strict=True):
        x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
        for value in ((y + x) * half, (y - x) * half, D * x * y):
            words += [value % PRIME >> (51 * limb) & (2**51 - 1) for limb in range(5)]
    table = np.array(words, np.uint64).reshape(DIGITS, _ENTRIES, _ENTRY)
    table.flags.writeable = False
    return table


def _inverses(values: list[int]) -> list[int]:
    """All inverses modulo p with one inversion."""
    before, running = [], 1
    for value in values:
        before.append(running)
        running = running * value % PRIME
    running = pow(running, -1, PRIME)
    out = []
    for value, product in zip(reversed(values), reversed(before), strict=True):
        out.append(running * product % PRIME)
        running = running * value % PRIME
    return out[::-1]


_LOOK, _SUM, _A, _B, _C, _H, _G = 12, 15, 17, 18, 19, 20, 22
"""Rows that `comb` spoils: the entry's three, and intermediates up to 23."""


def _emit_lookup(b: Any, args: Any) -> None:
    """Three rows from `out` on: the entry that a digit picks, turned where it is negative."""
    base, out, digits, shift, table = args
    memory = Memory(b, base)
    words = b.bitcast(b.inttoptr(digits, I64.as_pointer()), FIELD.type.as_pointer())
    entries = b.inttoptr(table, I64.as_pointer())
    positives, indices = [], []
    for slot in range(SLOTS):
        place = b.gep(words, [ir.Constant(I64, slot)])
        word = b.lshr(b.load(place, align=ALIGN), splat(b, LANES, shift))
        # v above 15 is positive, and v below as negative as 31 - v is positive
        positive = b.ashr(b.shl(word, FIELD.constant(64 - WINDOW)), FIELD.constant(63))
        flipped = b.xor(word, b.xor(positive, FIELD.constant(2**64 - 1)))
        positives.append(positive)
        indices.append(b.and_(flipped, FIELD.constant(_ENTRIES - 1)))
    elements = [_scan(b, entries, indices, part) for part in range(3)]
    row = [b.add(out, ir.Constant(I64, place)) for place in range(3)]
    for slot, positive in enumerate(positives):
        plus, minus, product = (found[slot] for found in elements)
        turned = FIELD.subtract(b, FIELD.number(0), product)
        memory.store(row[0], slot, FIELD.select(b, positive, plus, minus))
        memory.store(row[1], slot, FIELD.select(b, positive, minus, plus))
        memory.store(row[2], slot, FIELD.select(b, positive, product, turned))


def _scan(b: Any, entries: Any, indices: list[Any], part: int) -> list[Element]:
    """One element of the entries at `indices`, a slot each, after reading it of all entries."""

    def body(entry: Any, found: list[Any]) -> list[Any]:
        first = b.add(b.mul(entry, ir.Constant(I64, _ENTRY)), ir.Constant(I64, 5 * part))
        places = [b.add(first, ir.Constant(I64, limb)) for limb in range(5)]
        values = [splat(b, LANES, b.load(b.gep(entries, [place]))) for place in places]
        number, kept = splat(b, LANES, entry), []
        for slot, index in enumerate(indices):
            mask = b.sext(b.icmp_unsigned("==", index, number), FIELD.type)
            before = found[5 * slot : 5 * slot + 5]
            kept += [
                b.or_(old, b.and_(value, mask)) for old, value in zip(before, values, strict=True)
            ]
        return kept

    nothing = [FIELD.constant(0)] * (5 * len(indices))
    words = repeat(b, ir.Constant(I64, _ENTRIES), nothing, body)
    return [_limbs(b, words[5 * slot : 5 * slot + 5]) for slot in range(len(indices))]


def _limbs(b: Any, words: list[Any]) -> Element:
    """Words of 51 bits as limbs."""
    if LIMBS == 5:
        return words
    low, width = FIELD.constant(2**26 - 1), FIELD.constant(26)
    return [half for word in words for half in (b.and_(word, low), b.lshr(word, width))]


def _both(out: int, x: int, y: int) -> list[tuple[Any, ...]]:
    """Rows out, out + 1 = x + y, x - y, as lanes can take them in a product."""
    if isinstance(FIELD, RegisterLanes):
        return [("add", out, x, y), ("subtract", out + 1, x, y)]
    return [("plus_minus", out, x, y)]


def _addition(x: int) -> list[tuple[Any, ...]]:
    """The point in rows x..x + 3 (X, Y, Z, T) plus the entry in rows _LOOK.."""
    y, z, t = x + 1, x + 2, x + 3
    return [
        *_both(_SUM, y, x),
        ("multiply", _A, _SUM + 1, _LOOK + 1),
        ("multiply", _B, _SUM, _LOOK),
        ("multiply", _C, t, _LOOK + 2),
        *_both(_H, _B, _A),
        *_both(_G, z, _C),
        ("multiply", x, _H + 1, _G + 1),
        ("multiply", y, _G, _H),
        ("multiply", t, _H + 1, _H),
        ("multiply", z, _G + 1, _G),
    ]


def _emit_comb(row: int) -> Any:
    def emit(b: Any, args: Any) -> None:
        work, digits, table = args

        def body(index: Any, values: list[Any]) -> list[Any]:
            word = b.udiv(index, ir.Constant(I64, A_WORD))
            place = b.sub(index, b.mul(word, ir.Constant(I64, A_WORD)))
            shift = b.mul(place, ir.Constant(I64, WINDOW))
            at = b.add(digits, b.mul(word, ir.Constant(I64, 8 * BLOCK)))
            entries = b.add(table, b.mul(index, ir.Constant(I64, 8 * _ENTRIES * _ENTRY)))
            lookup = function(b.module, "lookup", _emit_lookup, 4)
            b.call(lookup, [work, ir.Constant(I64, _LOOK), at, shift, entries])
            for operation in _addition(row):
                call_operation(b, work, *operation)
            return values

        repeat(b, ir.Constant(I64, DIGITS), [], body)

    return emit


def comb(row: int) -> Any:
    """A numba function `(workspace, digits, table)` on the point in rows row..row + 3.

    It adds the table's multiple: `digits: uint64[DIGIT_WORDS · BLOCK]`, a word of all points
    after the other. Rows 12 to 23 are spoiled.
    """

    @intrinsic
    def program(_context: Any, work: Any, digits: Any, table: Any) -> Any:
        def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
            called = function(b.module, f"comb_{row}", _emit_comb(row), 2)
            places = [
                b.ptrtoint(data_of(context, b, kind, value), I64)
                for kind, value in zip((digits, table), args[1:], strict=True)
            ]
            b.call(called, [data_of(context, b, work, args[0]), *places])
            return context.get_dummy_value()

        return types.void(work, digits, table), generate

    return program
