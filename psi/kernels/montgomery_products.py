"""Eight Montgomery products at once in lanes, for numbers of any length.

A number is h limbs of b bits (52 by IFMA, 50 by doubles), h even and at least 6; eight side by
side are `uint64[h, 8]`. R = 2^(b h). Their products share one generator:

* `single_product`: x y / R mod N, operand scanning two rows at a time (4 h^2 multiply-adds);
* `pair_product`: (x0 + x1 N)(y0 + y1 N) / R mod N^2 (10 h^2). With T = x0 y0 + M N divided
  by R giving the low half, x0 y0 = T - M N leaves -M for the high half, so that
  high = (x0 y1 + x1 y0 - M) / R mod N: the digits of M are subtracted as they appear, and both
  accumulators advance in one pass over the limbs;
* `half_product` (8 h^2): the same for x1 = 0;
* `pair_square` (7 h^2): its two cross products are one, x0 (2 x1), and of x0 x0 only the
  products of different limbs are formed, once, and doubled; those inside pairs of neighbouring
  limbs, `square_blocks`, wait in an array and join as their positions come up.

Limbs of an accumulator stay below 2^62 for h up to 160 and are normalised once at the end.
Values need not be fully reduced: with R > 2^12 N, factors below 9 N give results below 2 N.

Source of the two-row operand scan: Gueron and Krasnov, "Software implementation of modular
exponentiation, using advanced vector instructions architectures" (2012); the arithmetic of
pairs follows from writing Montgomery's reduction (1985) with its quotient kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from psi.kernels.cache import kernel
from psi.kernels.montgomery_emit import (
    LIMB_MASK,
    SEPARATE,
    WORD,
    Emitter,
    intrinsic,
    loop,
)
from psi.kernels.montgomery_lanes import carry, clear

__all__ = ["half_product", "pair_product", "pair_square", "single_product"]


class _Half:
    """One accumulator of a row pair: factors x (vectors) with digits y, and N with its quotient.

    `terms` pairs pointers of multiplicands with the two digits of this row pair.
    """

    def __init__(self, emit: Emitter, acc: Any, terms: list[tuple[Any, Any, Any]]) -> None:
        self.emit, self.acc, self.terms = emit, acc, terms
        self.digits: list[Any] = []
        self.products: list[list[Any]] = []

    def head(self, modulus: list[Any], inverse: Any, shifts: list[Any] | None) -> Any:
        """Positions 0 and 1, which fix the two quotient digits; returns what counts at 2."""
        e, b = self.emit, self.emit.builder
        zero, one = ir.Constant(WORD, 0), ir.Constant(WORD, 1)
        first, second = e.load(self.acc, zero), e.load(self.acc, one)
        if shifts is not None:
            first, second = b.add(first, shifts[0]), b.add(second, shifts[1])
        zeros, ones = [], []
        for x, y0, y1 in self.terms:
            x0, x1 = e.kept(x, zero), e.kept(x, one)
            zeros.append(x0)
            ones.append(x1)
            first = e.low(first, x0, y0)
            second = e.low(second, x1, y0)
            second = e.high(second, x0, y0)
            second = e.low(second, x0, y1)
        self.digits = [e.digit(first, inverse)]
        m0 = e.factor(self.digits[0])
        carry = e.over(e.low(first, modulus[0], m0))
        second = e.low(second, modulus[1], m0)
        second = b.add(second, carry)
        second = e.high(second, modulus[0], m0)
        self.digits.append(e.digit(second, inverse))
        m1 = e.factor(self.digits[1])
        self.products = [*(pair for _, *pair in self.terms), [m0, m1]]
        second = e.low(second, modulus[0], m1)
        above = self._above([*ones, modulus[1]], [*zeros, modulus[0]])
        return b.add(above, e.over(second))

    def _above(self, now: list[Any], before: list[Any]) -> Any:
        """The high parts at a position, which count at the next."""
        total: Any = self.emit.zero
        for x, y0, y1, x1 in self._factors(now, before):
            total = self.emit.high(self.emit.high(total, x, y0), x1, y1)
        return total

    def _factors(self, now: list[Any], before: list[Any]) -> list[tuple[Any, Any, Any, Any]]:
        return [(x, y0, y1, x1) for x, (y0, y1), x1 in zip(now, self.products, before, strict=True)]

    def body(
        self, index: Any, now: list[Any], before: list[Any], above: Any, more: Any = None
    ) -> Any:
        """Position `index`, from this limb and the one before of the multiplicands and N."""
        e, b = self.emit, self.emit.builder
        factors = self._factors(now, before)
        terms = [term for x, y0, y1, x1 in factors for term in ((x, y0), (x1, y1))]
        total, rising = e.both(b.add(e.load(self.acc, index), above), e.zero, terms)
        if more is not None:
            total = b.add(total, more)
        e.store(total, self.acc, e.at(index, -2))
        return rising

    def tail(
        self, size: Any, last: list[Any], above: Any, more: tuple[Any, Any] | None = None
    ) -> None:
        """Positions h and h + 1, where the multiplicands have ended."""
        e, b = self.emit, self.emit.builder
        terms = [(x, y1) for x, (_, y1) in zip(last, self.products, strict=True)]
        above, final = e.both(above, e.zero, terms)
        if more is not None:
            above, final = b.add(above, more[0]), b.add(final, more[1])
        e.store(above, self.acc, e.at(size, -2))
        e.store(final, self.acc, e.at(size, -1))


class _Triangle:
    """Twice the products of two digits x_i, x_(i+1) with the limbs above them, held as the limb
    before and the high parts below."""

    def __init__(self, emit: Emitter, y0: Any, y1: Any) -> None:
        self.emit, self.y0, self.y1 = emit, y0, y1
        # at position i + 2 the limb before is x_(i+1), whose square is in the blocks
        self.start = [emit.factor(emit.zero), emit.zero]

    def step(self, limb: Any, held: list[Any]) -> tuple[Any, list[Any]]:
        """What counts at a position, and what to hold from it."""
        e = self.emit
        before, above = held
        total, rising = e.both(above, e.zero, [(limb, self.y0), (before, self.y1)])
        return self._twice(total), [limb, rising]

    def end(self, held: list[Any]) -> tuple[Any, Any]:
        """What counts at positions h and h + 1."""
        e = self.emit
        before, above = held
        total, rising = e.both(above, e.zero, [(before, self.y1)])
        return self._twice(total), self._twice(rising)

    def _twice(self, value: Any) -> Any:
        return self.emit.builder.add(value, value)


def _rows(context: Any, builder: Any, signature: Any, args: Any, kind: str) -> Any:
    """Rows i and i + 1: args are acc, x, y, N, shift, inverse, i, h.

    For a square y is 2 x1, then the blocks of x0.
    """
    parts = [_row_pair(emit, kind) for emit in Emitter.parts(context, builder, signature, args)]
    # the heads of all parts together: what one waits for, another fills
    for part in parts:
        next(part)
    for part in parts:
        deque(part, maxlen=0)
    return context.get_dummy_value()


def _row_pair(e: Emitter, kind: str) -> Iterator[None]:
    """Emits the head, yields, and emits the rest."""
    b, args = e.builder, e.args
    acc, x, y, shift = e.vectors(0), e.vectors(1), e.vectors(2), e.scalars(4)
    inverse, row, size = e.factor(e.splat(args[5])), args[6], args[7]
    # the multiplicands' factors: x itself, or where `_keep_factors` put them
    factors = b.gep(acc, [b.add(size, size)]) if SEPARATE else x
    modulus = b.gep(factors, [b.add(size, size)])
    zero, one, two = (ir.Constant(WORD, k) for k in range(3))

    def digits(source: Any, first: Any) -> list[Any]:
        return [e.factor(e.load(source, e.at(first, k))) for k in range(2)]

    triangle = None
    if kind == "square":
        triangle = _Triangle(e, *digits(x, row))
        halves = [_Half(e, acc, []), _Half(e, b.gep(acc, [size]), [(factors, *digits(y, row))])]
    else:
        low_digits = digits(y, row)
        halves = [_Half(e, acc, [(factors, *low_digits)])]
        if kind != "single":
            terms = [(factors, *digits(y, b.add(row, size)))]
            if kind == "pair":
                terms.append((b.gep(factors, [size]), *low_digits))
            halves.append(_Half(e, b.gep(acc, [size]), terms))

    def limb(index: Any) -> Any:
        """N's."""
        return e.kept(modulus, index) if SEPARATE else e.broadcast(e.scalars(3), index)

    n0, n1 = limb(zero), limb(one)
    held = [halves[0].head([n0, n1], inverse, None)]
    if len(halves) == 2:
        # a multiple of N whose limbs are all at least 2^b - 1, minus the quotient's digits
        shifts = [b.sub(e.broadcast(shift, e.at(row, k)), halves[0].digits[k]) for k in range(2)]
        held.append(halves[1].head([n0, n1], inverse, shifts))

    yield
    pointers = [factors] if kind != "pair" else [factors, b.gep(factors, [size])]
    width = len(pointers) + 1

    def limbs(index: Any) -> list[Any]:
        return [*(e.kept(p, index) for p in pointers), limb(index)]

    # the low half needs x0 and N, in a square N alone; the high half all
    def picked(number: int, v: list[Any]) -> list[Any]:
        low = [v[-1]] if triangle else [v[0], v[-1]]
        return v if number else low

    def step(index: Any, held: list[Any]) -> list[Any]:
        """held: the limbs before, what each half carries up, and so the triangle."""
        now, before, above = limbs(index), held[:width], held[width:]
        more: Any = None
        rest: list[Any] = []
        if triangle is not None and len(above) > len(halves):
            more, rest = triangle.step(now[0], above[len(halves) :])
        rising = [
            half.body(index, picked(k, now), picked(k, before), above[k], None if k else more)
            for k, half in enumerate(halves)
        ]
        return now + rising + rest

    # two positions an iteration, so that the limbs of the last need no moves
    def pair(index: Any, *held: Any) -> list[Any]:
        return step(e.at(index, 1), step(index, list(held)))

    held = [*limbs(one), *held]
    if triangle is None:
        held = loop(b, two, size, held, pair, step=2)
        ends: list[Any] = [None] * len(halves)
    else:
        start = e.at(row, 2)
        held = loop(b, two, start, held, pair, step=2, empty=True)
        held = loop(b, start, size, [*held, *triangle.start], pair, step=2, empty=True)
        at = b.add(b.add(size, size), row)
        blocks = [e.load(y, e.at(at, k)) for k in range(2)]
        ends = [
            tuple(b.add(u, v) for u, v in zip(triangle.end(held[-2:]), blocks, strict=True)),
            None,
        ]
    for k, half in enumerate(halves):
        half.tail(size, picked(k, held[:width]), held[width + k], ends[k])


def _signature(acc: Any, x: Any, y: Any, modulus: Any, shift: Any) -> Any:
    return types.void(acc, x, y, modulus, shift, types.uint64, types.int64, types.int64)


@intrinsic
def _keep_factors(typing: Any, acc: Any, x: Any, modulus: Any, width: Any, h: Any) -> Any:
    """acc[2 h:] = the factors of x, `width` limbs, and acc[4 h:] = those of N in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        source, number, width, size = e.vectors(1), e.scalars(2), args[3], args[4]
        first = b.add(size, size)
        target = b.gep(e.vectors(0), [first])
        every = b.gep(target, [first])

        def limbs(index: Any) -> list[Any]:
            e.keep(e.factor(e.load(source, index)), target, index)
            return []

        def moduli(index: Any) -> list[Any]:
            e.keep(e.factor(e.broadcast(number, index)), every, index)
            return []

        if SEPARATE:
            loop(b, ir.Constant(WORD, 0), width, [], limbs)
            loop(b, ir.Constant(WORD, 0), size, [], moduli)
        return context.get_dummy_value()

    return types.void(acc, x, modulus, types.int64, types.int64), generate


@intrinsic
def _single_rows(
    typing: Any, acc: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, i: Any, h: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _rows(context, builder, signature, args, "single")

    return _signature(acc, x, y, modulus, shift), generate


@intrinsic
def _pair_rows(
    typing: Any, acc: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, i: Any, h: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _rows(context, builder, signature, args, "pair")

    return _signature(acc, x, y, modulus, shift), generate


@intrinsic
def _half_rows(
    typing: Any, acc: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, i: Any, h: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _rows(context, builder, signature, args, "half")

    return _signature(acc, x, y, modulus, shift), generate


@intrinsic
def _square_rows(
    typing: Any, acc: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, i: Any, h: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _rows(context, builder, signature, args, "square")

    return _signature(acc, x, y, modulus, shift), generate


@intrinsic
def _square_blocks(typing: Any, out: Any, x: Any, h: Any) -> Any:
    """out[2 i:2 i + 4] = (x_i + 2^b x_(i+1))^2 for even i below h, not carried."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        target, source = e.vectors(0), e.vectors(1)

        def body(index: Any) -> list[Any]:
            low, high = (e.factor(e.load(source, e.at(index, k))) for k in range(2))
            at = b.add(index, index)
            crosses = [part(e.zero, low, high) for part in (e.low, e.high)]
            twice = [b.add(cross, cross) for cross in crosses]
            squares = [
                e.low(e.zero, low, low),
                e.high(twice[0], low, low),
                e.low(twice[1], high, high),
                e.high(e.zero, high, high),
            ]
            for k, value in enumerate(squares):
                e.store(value, target, e.at(at, k))
            return []

        loop(b, ir.Constant(WORD, 0), args[2], [], body, step=2)
        return context.get_dummy_value()

    return types.void(out, x, types.int64), generate


@intrinsic
def _carry_both(typing: Any, out: Any, acc: Any, h: Any) -> Any:
    """Normalise two accumulators of h limbs, their carry chains side by side."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = Emitter(context, builder, signature, args), builder
        target, source = e.vectors(0), e.vectors(1)

        def body(index: Any, *carries: Any) -> list[Any]:
            results = []
            for position, carried in zip((index, b.add(index, args[2])), carries, strict=True):
                total = b.add(e.load(source, position), carried)
                e.store(b.and_(total, e.constant(LIMB_MASK)), target, position)
                results.append(e.over(total))
            return results

        loop(b, ir.Constant(WORD, 0), args[2], [e.zero, e.zero], body)
        return context.get_dummy_value()

    return types.void(out, acc, types.int64), generate


@kernel
def single_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x y / R mod N for `uint64[h, 8]`; out may be x or y; acc is scratch of 5 h rows."""
    clear(acc, h)
    _keep_factors(acc, x, modulus, h, h)
    for i in range(0, h, 2):
        _single_rows(acc, x, y, modulus, shift, inverse, i, h)
    carry(out, acc, 0, h, np.uint64(0))


@kernel
def pair_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x y / R mod N^2 for pairs `uint64[2 h, 8]`, low half first; out may be x or y."""
    clear(acc, 2 * h)
    _keep_factors(acc, x, modulus, 2 * h, h)
    for i in range(0, h, 2):
        _pair_rows(acc, x, y, modulus, shift, inverse, i, h)
    _carry_both(out, acc, h)


@kernel
def half_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x0 (y0 + y1 N) / R mod N^2, for x0 of h limbs; out may be y."""
    clear(acc, 2 * h)
    _keep_factors(acc, x, modulus, h, h)
    for i in range(0, h, 2):
        _half_rows(acc, x, y, modulus, shift, inverse, i, h)
    _carry_both(out, acc, h)


@kernel
def pair_square(
    out: Any, x: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any, scratch: Any
) -> None:
    """out = x^2 / R mod N^2; out may be x; `scratch` is `uint64[3 h, 8]`."""
    carry(scratch, x[h:], 0, h, np.uint64(1))
    _square_blocks(scratch[h:], x, h)
    for j in range(h):
        for lane in range(8):
            acc[j, lane] = scratch[h + j, lane]
            acc[h + j, lane] = np.uint64(0)
    _keep_factors(acc, x, modulus, h, h)
    for i in range(0, h, 2):
        _square_rows(acc, x, scratch, modulus, shift, inverse, i, h)
    _carry_both(out, acc, h)
