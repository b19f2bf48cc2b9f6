"""GF(2^255 - 19) in five 51-bit limbs, as LLVM: eight elements at once, or one.

`Wide` keeps a limb of eight elements in one AVX-512 register and multiplies by
`vpmadd52{lo,hi}`; `Narrow` keeps a limb in a 64-bit register and multiplies into 128 bits.
Both have the same operations, so the kernels above are written once. A limb stays below 2^52
between operations. Source of the representation: Bernstein 2006, "Curve25519".

Everything here emits instructions; nothing branches on, loops by or indexes with a value.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

__all__ = ["LIMBS", "Narrow", "Wide", "add", "multiply_small", "square", "subtract", "swap"]

LIMBS = 5
Element = list[Any]

_I64, _I128 = ir.IntType(64), ir.IntType(128)
_MASK = (1 << 51) - 1
_FOUR_P = [(2**51 - 19) * 4] + [(2**51 - 1) * 4] * 4


def _times_19(lanes: Any, b: Any, x: Any) -> Any:
    """Shifts and adds: a 64-bit lane product is slow."""
    return b.add(x, b.add(b.shl(x, lanes.constant(4)), b.shl(x, lanes.constant(1))))


def _carry(lanes: Any, b: Any, x: Element) -> Element:
    """One parallel carry; limbs below 2^63 come out just above 51 bits."""
    mask, shift = lanes.constant(_MASK), lanes.constant(51)
    high = [b.lshr(limb, shift) for limb in x]
    low = [b.and_(limb, mask) for limb in x]
    first = b.add(low[0], _times_19(lanes, b, high[4]))
    return [first, *(b.add(low[i], high[i - 1]) for i in range(1, LIMBS))]


class Wide:
    """Eight elements: a limb is a vector of eight 64-bit lanes."""

    count = 8
    type = ir.VectorType(_I64, 8)

    @classmethod
    def constant(cls, value: int) -> Any:
        """The same number in every lane."""
        return ir.Constant(cls.type, [value] * cls.count)

    @classmethod
    def broadcast(cls, b: Any, value: Any) -> Any:
        """A 64-bit register in every lane."""
        none, index = ir.Constant(cls.type, ir.Undefined), ir.IntType(32)
        one = b.insert_element(none, value, ir.Constant(index, 0))
        zeros = ir.Constant(ir.VectorType(index, cls.count), [0] * cls.count)
        return b.shuffle_vector(one, none, zeros)

    @classmethod
    def _madd(cls, b: Any, half: str) -> Any:
        name = f"llvm.x86.avx512.vpmadd52{half}.uq.512"
        found = b.module.globals.get(name)
        kind = ir.FunctionType(cls.type, [cls.type] * 3)
        return found or ir.Function(b.module, kind, name)

    @classmethod
    def multiply(cls, b: Any, x: Element, y: Element) -> Element:
        """x y; both with limbs below 2^52."""
        low, high = cls._columns(b, [(i, j, x[i], y[j]) for i in range(5) for j in range(5)])
        return cls._fold(b, low, high)

    @classmethod
    def square(cls, b: Any, x: Element) -> Element:
        """x^2: the cross products once, doubled."""
        pairs = [(i, j, x[i], x[j]) for i in range(5) for j in range(i + 1, 5)]
        low, high = cls._columns(b, pairs)
        low, high = [b.add(v, v) for v in low], [b.add(v, v) for v in high]
        low, high = cls._columns(b, [(i, i, x[i], x[i]) for i in range(5)], low, high)
        return cls._fold(b, low, high)

    @classmethod
    def multiply_small(cls, b: Any, x: Element, factor: int) -> Element:
        """x times a constant below 2^20."""
        zero, c = cls.constant(0), cls.constant(factor)
        low = [b.call(cls._madd(b, "l"), [zero, limb, c]) for limb in x]
        high = [b.call(cls._madd(b, "h"), [zero, limb, c]) for limb in x]
        high = [b.add(v, v) for v in high]
        first = b.add(low[0], _times_19(cls, b, high[4]))
        return _carry(cls, b, [first, *(b.add(low[i], high[i - 1]) for i in range(1, 5))])

    @classmethod
    def _columns(
        cls, b: Any, pairs: list[Any], low: Element | None = None, high: Element | None = None
    ) -> tuple[Element, Element]:
        """Low and high halves of the products, summed by column."""
        low = list(low or [cls.constant(0)] * 9)
        high = list(high or [cls.constant(0)] * 9)
        for i, j, x, y in pairs:
            low[i + j] = b.call(cls._madd(b, "l"), [low[i + j], x, y])
            high[i + j] = b.call(cls._madd(b, "h"), [high[i + j], x, y])
        return low, high

    @classmethod
    def _fold(cls, b: Any, low: Element, high: Element) -> Element:
        """Columns to limbs: a high half weighs 2^52, twice a column; 2^255 is 19."""
        twice = [b.add(v, v) for v in high]
        columns = [low[0], *(b.add(low[k], twice[k - 1]) for k in range(1, 9)), twice[8]]
        folded = [b.add(columns[k], _times_19(cls, b, columns[k + 5])) for k in range(5)]
        return _carry(cls, b, folded)


class Narrow:
    """One element: a limb is a 64-bit register."""

    count = 1
    type = _I64

    @classmethod
    def constant(cls, value: int) -> Any:
        """A 64-bit constant."""
        return ir.Constant(_I64, value)

    @classmethod
    def broadcast(cls, b: Any, value: Any) -> Any:
        """The register itself."""
        del b
        return value

    @classmethod
    def multiply(cls, b: Any, x: Element, y: Element) -> Element:
        """x y; both with limbs below 2^54."""
        y19 = [b.mul(limb, cls.constant(19)) for limb in y]
        terms = [
            [(x[i], y[k - i] if i <= k else y19[k - i + 5]) for i in range(5)] for k in range(5)
        ]
        return cls._reduce(b, terms)

    @classmethod
    def square(cls, b: Any, x: Element) -> Element:
        """x^2: the cross products once, doubled."""
        twice = [b.add(limb, limb) for limb in x]
        x19 = [b.mul(limb, cls.constant(19)) for limb in x]
        terms: list[list[Any]] = [[] for _ in range(5)]
        for i in range(5):
            for j in range(i, 5):
                left = x[i] if i == j else twice[i]
                terms[(i + j) % 5].append((left, x[j] if i + j < 5 else x19[j]))
        return cls._reduce(b, terms)

    @classmethod
    def multiply_small(cls, b: Any, x: Element, factor: int) -> Element:
        """x times a constant below 2^20."""
        return cls._reduce(b, [[(limb, cls.constant(factor))] for limb in x])

    @classmethod
    def _reduce(cls, b: Any, terms: list[list[Any]]) -> Element:
        """Sums of 128-bit products to limbs."""
        mask, shift = ir.Constant(_I128, _MASK), ir.Constant(_I128, 51)
        limbs: Element = []
        over = ir.Constant(_I128, 0)
        for column in terms:
            total = over
            for x, y in column:
                total = b.add(total, b.mul(b.zext(x, _I128), b.zext(y, _I128)))
            limbs.append(b.trunc(b.and_(total, mask), _I64))
            over = b.lshr(total, shift)
        first = b.add(limbs[0], b.mul(b.trunc(over, _I64), cls.constant(19)))
        limbs[1] = b.add(limbs[1], b.lshr(first, cls.constant(51)))
        return [b.and_(first, cls.constant(_MASK)), *limbs[1:]]


def square(lanes: Any, b: Any, x: Element) -> Element:
    """x^2."""
    return list(lanes.square(b, x))


def multiply_small(lanes: Any, b: Any, x: Element, factor: int) -> Element:
    """x times a small constant."""
    return list(lanes.multiply_small(b, x, factor))


def add(lanes: Any, b: Any, x: Element, y: Element) -> Element:
    """x + y."""
    return _carry(lanes, b, [b.add(u, v) for u, v in zip(x, y, strict=True)])


def subtract(lanes: Any, b: Any, x: Element, y: Element) -> Element:
    """x - y, by way of x + 4p - y."""
    limbs = zip(x, y, _FOUR_P, strict=True)
    return _carry(lanes, b, [b.sub(b.add(u, lanes.constant(c)), v) for u, v, c in limbs])


def swap(b: Any, mask: Any, x: Element, y: Element) -> tuple[Element, Element]:
    """(y, x) where `mask` is all ones, (x, y) where it is zero, by the same instructions."""
    flips = [b.and_(b.xor(u, v), mask) for u, v in zip(x, y, strict=True)]
    first = [b.xor(u, f) for u, f in zip(x, flips, strict=True)]
    return first, [b.xor(v, f) for v, f in zip(y, flips, strict=True)]
