"""Eight Montgomery products at once in lanes of 52 bits, for numbers of any length.

A number is h limbs of 52 bits, h even and at least 6; eight side by side are `uint64[h, 8]`, one
vector register a limb. R = 2^(52 h). Their products share one generator:

* `single_product`: x y / R mod N, operand scanning two rows at a time (4 h^2 multiply-adds);
* `pair_product`: (x0 + x1 N)(y0 + y1 N) / R mod N^2 (10 h^2). With T = x0 y0 + M N divided
  by R giving the low half, x0 y0 = T - M N leaves -M for the high half, so that
  high = (x0 y1 + x1 y0 - M) / R mod N: the digits of M are subtracted as they appear, and both
  accumulators advance in one pass over the limbs;
* `half_product` (8 h^2): the same for x1 = 0; `pair_square` reduces to it, since its two cross
  products are one: x0 (y0 + y1 N) with y = (x0, 2 x1).

Limbs of an accumulator stay below 2^62 for h up to 160 and are normalised once at the end.
Values need not be fully reduced: with R > 2^12 N, factors below 9 N give results below 2 N.

Source of the two-row operand scan: Gueron and Krasnov, "Software implementation of modular
exponentiation, using advanced vector instructions architectures" (2012); the arithmetic of
pairs follows from writing Montgomery's reduction (1985) with its quotient kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types

from psi.kernels.cache import kernel
from psi.kernels.multipliers52 import LANES, Doubles, Fused52, Multiplier, declare
from psi.kernels.simd import kernel_path

__all__ = [
    "LANES",
    "LIMB_BITS",
    "LIMB_MASK",
    "aligned",
    "carry",
    "clear",
    "gather",
    "half_product",
    "multiply_add_row",
    "pair_product",
    "pair_square",
    "prefetch",
    "scatter",
    "select_entry",
    "select_row",
    "single_product",
]

LIMB_BITS = 52
LIMB_MASK = (1 << LIMB_BITS) - 1

# typed as what calls look like inside compiled code
intrinsic: Any = extending.intrinsic

_WORD = ir.IntType(64)
_INDEX = ir.IntType(32)
_VECTOR = ir.VectorType(_WORD, LANES)


def _constant(value: int) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * LANES)


_ZERO = _constant(0)


class _Emitter:
    """What the row generators say in vectors: loads, stores, multiply-adds.

    A factor is a limb in the form that multiplies. Accumulators are signed.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.builder = context, builder
        self.signature, self.args = signature, args
        self.multiplier: Multiplier = (Fused52 if kernel_path() == "wide" else Doubles)(builder)

    def declare(self, name: str, function_type: ir.FunctionType) -> Any:
        return declare(self.builder, name, function_type)

    def factor(self, limb: Any) -> Any:
        """A limb below 2^52, ready to multiply."""
        return self.multiplier.factor(limb)

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        """acc + (x y mod 2^52), up to a multiple of 2^52 that `high` makes good."""
        return self.multiplier.low(acc, x, y)

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        """acc + floor(x y / 2^52), or the next integer."""
        return self.multiplier.high(acc, x, y)

    def digit(self, value: Any, y: Any) -> Any:
        """value y mod 2^52 for any integer vector: the quotient's next digit, as a limb."""
        masked = self.builder.and_(value, _constant(LIMB_MASK))
        product = self.low(_ZERO, self.factor(masked), y)
        return self.builder.and_(product, _constant(LIMB_MASK))

    def over(self, total: Any) -> Any:
        """What a signed limb carries on."""
        return self.builder.ashr(total, _constant(LIMB_BITS))

    def vectors(self, position: int) -> Any:
        """Pointer to the vectors of an array argument."""
        return self.builder.bitcast(self._data(position), _VECTOR.as_pointer())

    def scalars(self, position: int) -> Any:
        """Pointer to the words of an array argument."""
        return self._data(position)

    def _data(self, position: int) -> Any:
        array = self.context.make_array(self.signature.args[position])
        return array(self.context, self.builder, self.args[position]).data

    def at(self, index: Any, step: int = 0) -> Any:
        """index + step."""
        return self.builder.add(index, ir.Constant(_WORD, step)) if step else index

    def load(self, pointer: Any, index: Any) -> Any:
        """One vector."""
        return self.builder.load(self.builder.gep(pointer, [index]), align=8)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """One vector."""
        self.builder.store(value, self.builder.gep(pointer, [index]), align=8)

    def splat(self, word: Any) -> Any:
        """One word in all lanes."""
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        one = self.builder.insert_element(undefined, word, ir.Constant(_INDEX, 0))
        mask = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, undefined, mask)

    def broadcast(self, pointer: Any, index: Any) -> Any:
        """A word of memory in all lanes."""
        return self.splat(self.builder.load(self.builder.gep(pointer, [index])))


class _Half:
    """One accumulator of a row pair: factors x (vectors) with digits y, and N with its quotient.

    `terms` pairs pointers of multiplicands with the two digits of this row pair.
    """

    def __init__(self, emit: _Emitter, acc: Any, terms: list[tuple[Any, Any, Any]]) -> None:
        self.emit, self.acc, self.terms = emit, acc, terms
        self.digits: list[Any] = []
        self.products: list[list[Any]] = []
        self.above: Any = None

    def head(self, modulus: list[Any], inverse: Any, shifts: list[Any] | None) -> Any:
        """Positions 0 and 1, which fix the two quotient digits; returns the carry into 2."""
        e, b = self.emit, self.emit.builder
        zero, one = ir.Constant(_WORD, 0), ir.Constant(_WORD, 1)
        first, second = e.load(self.acc, zero), e.load(self.acc, one)
        if shifts is not None:
            first, second = b.add(first, shifts[0]), b.add(second, shifts[1])
        zeros, ones = [], []
        for x, y0, y1 in self.terms:
            x0, x1 = e.factor(e.load(x, zero)), e.factor(e.load(x, one))
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
        self.above = self._above([*ones, modulus[1]], [*zeros, modulus[0]])
        return e.over(second)

    def _above(self, now: list[Any], before: list[Any]) -> Any:
        """The high parts at a position, which count at the next."""
        total: Any = _ZERO
        for x, y0, y1, x1 in self._factors(now, before):
            total = self.emit.high(self.emit.high(total, x, y0), x1, y1)
        return total

    def _factors(self, now: list[Any], before: list[Any]) -> list[tuple[Any, Any, Any, Any]]:
        return [(x, y0, y1, x1) for x, (y0, y1), x1 in zip(now, self.products, before, strict=True)]

    def body(self, index: Any, now: list[Any], before: list[Any], carry: Any, above: Any) -> Any:
        """Position `index`, from this limb and the one before of the multiplicands and N."""
        e, b = self.emit, self.emit.builder
        total = e.load(self.acc, index)
        if carry is not None:
            total = b.add(total, carry)
        for x, y0, y1, x1 in self._factors(now, before):
            total = e.low(e.low(total, x, y0), x1, y1)
        e.store(b.add(total, above), self.acc, e.at(index, -2))
        return self._above(now, before)

    def tail(self, size: Any, last: list[Any], above: Any) -> None:
        """Positions h and h + 1, where the multiplicands have ended."""
        e = self.emit
        final: Any = _ZERO
        for x, (_, y1) in zip(last, self.products, strict=True):
            above = e.low(above, x, y1)
            final = e.high(final, x, y1)
        e.store(above, self.acc, e.at(size, -2))
        e.store(final, self.acc, e.at(size, -1))


def _rows(context: Any, builder: Any, signature: Any, args: Any, kind: str) -> Any:
    """Rows i and i + 1: args are acc, x, y, N, shift, inverse, i, h."""
    e = _Emitter(context, builder, signature, args)
    b = builder
    acc, x, y = e.vectors(0), e.vectors(1), e.vectors(2)
    modulus, shift = e.scalars(3), e.scalars(4)
    inverse, row, size = e.factor(e.splat(args[5])), args[6], args[7]
    zero, one, two = (ir.Constant(_WORD, k) for k in range(3))

    def digits(first: Any) -> list[Any]:
        return [e.factor(e.load(y, e.at(first, k))) for k in range(2)]

    low_digits = digits(row)
    halves = [_Half(e, acc, [(x, *low_digits)])]
    if kind != "single":
        terms = [(x, *digits(b.add(row, size)))]
        if kind == "pair":
            terms.append((b.gep(x, [size]), *low_digits))
        halves.append(_Half(e, b.gep(acc, [size]), terms))

    n0, n1 = (e.factor(e.broadcast(modulus, k)) for k in (zero, one))
    carries = [halves[0].head([n0, n1], inverse, None)]
    if len(halves) == 2:
        # a multiple of N whose limbs are all at least 2^52 - 1, minus the quotient's digits
        shifts = [b.sub(e.broadcast(shift, e.at(row, k)), halves[0].digits[k]) for k in range(2)]
        carries.append(halves[1].head([n0, n1], inverse, shifts))

    pointers = [x] if kind != "pair" else [x, b.gep(x, [size])]

    def limbs(index: Any) -> list[Any]:
        loaded = [*(e.load(p, index) for p in pointers), e.broadcast(modulus, index)]
        return [e.factor(limb) for limb in loaded]

    # the low half needs x0 and N, the high half all
    picks: list[Callable[[list[Any]], list[Any]]] = [lambda v: [v[0], v[-1]], lambda v: v]

    def step(index: Any, before: list[Any], carry: Any, above: list[Any]) -> list[Any]:
        now = limbs(index)
        rising = [
            half.body(index, pick(now), pick(before), None if carry is None else carry[k], above[k])
            for k, (half, pick) in enumerate(zip(halves, picks, strict=False))
        ]
        return now + rising

    width = len(pointers) + 1
    held = step(two, limbs(one), carries, [half.above for half in halves])
    held = step(ir.Constant(_WORD, 3), held[:width], None, held[width:])

    # two positions an iteration, so that the limbs of the last need no moves
    def pair(index: Any, *held: Any) -> list[Any]:
        now = step(index, list(held[:width]), None, list(held[width:]))
        return step(e.at(index, 1), now[:width], None, now[width:])

    held = _loop(b, ir.Constant(_WORD, 4), size, held, pair, step=2)
    for half, pick, above in zip(halves, picks, held[width:], strict=False):
        half.tail(size, pick(held[:width]), above)
    return context.get_dummy_value()


def _signature(acc: Any, x: Any, y: Any, modulus: Any, shift: Any) -> Any:
    return types.void(acc, x, y, modulus, shift, types.uint64, types.int64, types.int64)


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


def _loop(
    builder: Any,
    start: Any,
    stop: Any,
    held: list[Any],
    body: Callable[..., list[Any]],
    step: int = 1,
) -> list[Any]:
    """for index in range(start, stop, step), at least once: held = body(index, *held)."""
    entry, function = builder.block, builder.function
    loop, done = function.append_basic_block("loop"), function.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_WORD)
    index.add_incoming(start, entry)
    phis = [builder.phi(value.type) for value in held]
    for phi, value in zip(phis, held, strict=True):
        phi.add_incoming(value, entry)
    results = body(index, *phis)
    after = builder.add(index, ir.Constant(_WORD, step))
    last = builder.block  # the body may have loops of its own
    index.add_incoming(after, last)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, last)
    builder.cbranch(builder.icmp_signed("<", after, stop), loop, done)
    builder.position_at_end(done)
    return results


@intrinsic
def clear(typing: Any, acc: Any, stop: Any) -> Any:
    """Set limbs 0 to stop to zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e = _Emitter(context, builder, signature, args)
        target = e.vectors(0)

        def body(index: Any) -> list[Any]:
            e.store(_ZERO, target, index)
            return []

        _loop(builder, ir.Constant(_WORD, 0), args[1], [], body)
        return context.get_dummy_value()

    return types.void(acc, types.int64), generate


@intrinsic
def carry(typing: Any, out: Any, acc: Any, start: Any, stop: Any, shift: Any) -> Any:
    """Normalise limbs start to stop of an accumulator, times 2^shift, into `out`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = _Emitter(context, builder, signature, args), builder
        target, source, by = e.vectors(0), e.vectors(1), e.splat(args[4])

        def body(index: Any, carry: Any) -> list[Any]:
            total = b.add(b.shl(e.load(source, index), by), carry)
            e.store(b.and_(total, _constant(LIMB_MASK)), target, index)
            return [e.over(total)]

        _loop(b, args[2], args[3], [_ZERO], body)
        return context.get_dummy_value()

    return types.void(out, acc, types.int64, types.int64, types.uint64), generate


@intrinsic
def _carry_both(typing: Any, out: Any, acc: Any, h: Any) -> Any:
    """Normalise two accumulators of h limbs, their carry chains side by side."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = _Emitter(context, builder, signature, args), builder
        target, source = e.vectors(0), e.vectors(1)

        def body(index: Any, *carries: Any) -> list[Any]:
            results = []
            for position, carry in zip((index, b.add(index, args[2])), carries, strict=True):
                total = b.add(e.load(source, position), carry)
                e.store(b.and_(total, _constant(LIMB_MASK)), target, position)
                results.append(e.over(total))
            return results

        _loop(b, ir.Constant(_WORD, 0), args[2], [_ZERO, _ZERO], body)
        return context.get_dummy_value()

    return types.void(out, acc, types.int64), generate


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """Eight vectors as the rows of a square, to its columns: three rounds of shuffles."""
    rounds = (
        (1, [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
        (2, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
        (4, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
    )
    for step, *masks in rounds:
        low, high = (ir.Constant(ir.VectorType(_INDEX, LANES), mask) for mask in masks)
        shuffled = list(rows)
        for k in range(LANES):
            if not k & step:
                shuffled[k] = builder.shuffle_vector(rows[k], rows[k + step], low)
                shuffled[k + step] = builder.shuffle_vector(rows[k], rows[k + step], high)
        rows = shuffled
    return rows


def _move(context: Any, builder: Any, signature: Any, args: Any, to_lanes: bool) -> Any:
    """Between `uint64[width, 8]` lanes and eight rows: args are lanes, array, index, width."""
    e, b = _Emitter(context, builder, signature, args), builder
    lanes, array, index, width = e.vectors(0), e.scalars(1), e.scalars(2), args[3]
    numbers = [b.load(b.gep(index, [ir.Constant(_WORD, k)])) for k in range(LANES)]
    bases = [b.gep(array, [b.mul(number, width)]) for number in numbers]
    final = b.sub(width, ir.Constant(_WORD, LANES))

    def body(position: Any) -> list[Any]:
        # the last square overlaps the one before where 8 does not divide the width
        past = b.icmp_signed(">", position, final)
        j = b.select(past, final, position)
        spots = [b.bitcast(b.gep(base, [j]), _VECTOR.as_pointer()) for base in bases]
        if to_lanes:
            for k, value in enumerate(_transpose(b, [b.load(spot, align=8) for spot in spots])):
                e.store(value, lanes, e.at(j, k))
        else:
            limbs = [e.load(lanes, e.at(j, k)) for k in range(LANES)]
            for value, spot in zip(_transpose(b, limbs), spots, strict=True):
                b.store(value, spot, align=8)
        return []

    _loop(b, ir.Constant(_WORD, 0), width, [], body, step=LANES)
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
        e, b = _Emitter(context, builder, signature, args), builder
        source, row, size = e.scalars(2), args[3], args[4]
        digit = e.factor(e.load(e.vectors(1), row))
        target = b.gep(e.vectors(0), [row])

        def body(index: Any, before: Any) -> list[Any]:
            now = e.factor(e.broadcast(source, index))
            total = e.high(e.low(e.load(target, index), now, digit), before, digit)
            e.store(total, target, index)
            return [now]

        last = _loop(b, ir.Constant(_WORD, 0), size, [e.factor(_ZERO)], body)[0]
        e.store(e.high(e.load(target, size), last, digit), target, size)
        return context.get_dummy_value()

    return types.void(acc, x, y, types.int64, types.int64), generate


def _select(
    builder: Any, e: _Emitter, target: Any, rows: Any, count: Any, wanted: Any, read: Any
) -> None:
    """target[j] = read(k, j) where k is wanted, over all k below count, four limbs at a time."""
    zero, group = ir.Constant(_WORD, 0), 4

    def limbs(j: Any) -> list[Any]:
        def entry(k: Any, number: Any, *totals: Any) -> list[Any]:
            same = builder.icmp_unsigned("==", wanted, number)
            kept = [
                builder.select(same, read(k, e.at(j, place)), total)
                for place, total in enumerate(totals)
            ]
            return [builder.add(number, _constant(1)), *kept]

        _, *found = _loop(builder, zero, count, [_ZERO] * (1 + group), entry)
        for place, value in enumerate(found):
            e.store(value, target, e.at(j, place))
        return []

    _loop(builder, zero, rows, [], limbs, step=group)


@intrinsic
def select_row(typing: Any, out: Any, table: Any, rows: Any, count: Any, digits: Any) -> Any:
    """out[j, lane] = table[digits[lane], j, lane], reading all of `uint64[count, rows, 8]`.

    rows is a multiple of four, as the limbs of a pair are.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = _Emitter(context, builder, signature, args), builder
        source, rows = e.vectors(1), args[2]
        wanted = e.load(e.vectors(4), ir.Constant(_WORD, 0))

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
        e, b = _Emitter(context, builder, signature, args), builder
        rows = args[2]
        source = b.gep(e.scalars(1), [b.mul(args[3], rows)])
        wanted = e.load(e.vectors(5), ir.Constant(_WORD, 0))

        def read(k: Any, j: Any) -> Any:
            return e.broadcast(source, b.add(b.mul(k, rows), j))

        _select(b, e, e.vectors(0), rows, args[4], wanted, read)
        return context.get_dummy_value()

    return types.void(out, table, types.int64, types.int64, types.int64, digits), generate


@intrinsic
def prefetch(typing: Any, array: Any, row: Any, words: Any) -> Any:
    """Ask for row `row` of `uint64[n, words]` to come into the cache."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        e, b = _Emitter(context, builder, signature, args), builder
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INDEX, _INDEX, _INDEX])
        fetch = e.declare("llvm.prefetch.p0i8", kind)
        base = b.gep(e.scalars(0), [b.mul(args[1], args[2])])

        def body(index: Any) -> list[Any]:
            line = b.bitcast(b.gep(base, [index]), byte)
            b.call(fetch, [line, *(ir.Constant(_INDEX, k) for k in (0, 3, 1))])
            return []

        _loop(b, ir.Constant(_WORD, 0), args[2], [], body, step=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@kernel
def aligned(rows: int) -> Any:
    """Uninitialised `uint64[rows, 8]` on a cache line."""
    raw = np.empty(8 * rows + 8, dtype=np.uint64)
    offset = ((64 - raw.ctypes.data % 64) % 64) // 8
    return raw[offset : offset + 8 * rows].reshape(rows, 8)


@kernel
def single_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x y / R mod N for `uint64[h, 8]`; out may be x or y; acc is scratch."""
    clear(acc, h)
    for i in range(0, h, 2):
        _single_rows(acc, x, y, modulus, shift, inverse, i, h)
    carry(out, acc, 0, h, np.uint64(0))


@kernel
def pair_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x y / R mod N^2 for pairs `uint64[2 h, 8]`, low half first; out may be x or y."""
    clear(acc, 2 * h)
    for i in range(0, h, 2):
        _pair_rows(acc, x, y, modulus, shift, inverse, i, h)
    _carry_both(out, acc, h)


@kernel
def half_product(
    out: Any, x: Any, y: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any
) -> None:
    """out = x0 (y0 + y1 N) / R mod N^2, for x0 of h limbs; out may be y."""
    clear(acc, 2 * h)
    for i in range(0, h, 2):
        _half_rows(acc, x, y, modulus, shift, inverse, i, h)
    _carry_both(out, acc, h)


@kernel
def pair_square(
    out: Any, x: Any, modulus: Any, shift: Any, inverse: Any, h: Any, acc: Any, twice: Any
) -> None:
    """out = x^2 / R mod N^2; out may be x; `twice` is scratch like x."""
    carry(twice, x, 0, h, np.uint64(0))
    carry(twice, x, h, 2 * h, np.uint64(1))
    half_product(out, x, twice, modulus, shift, inverse, h, acc)
