"""GF(2^255 - 19), several elements at once, as LLVM instructions: what all CPUs share.

An element is a list of limbs, a limb one LLVM value with one number a lane. A product comes as
unreduced columns, which `carry` makes limbs again. Each kind of CPU has a module of its own:
`lanes25519_wide` (AVX-512 IFMA), `lanes25519_vector` (other x86) and
`lanes25519_scalar` (anything). That no sum overflows is proved by running the same code over
upper bounds instead of instructions (tests/unit/kernels/test_bounds25519.py).

Everything here emits instructions; nothing branches on, loops by or indexes with a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from psi.kernels.vectors import add_all, constant, select, subtract_all, vector

__all__ = ["A24", "PRIME", "Columns", "Element", "Lanes", "RegisterLanes"]

PRIME = 2**255 - 19
A24 = 121665
"""(486662 - 2) / 4, of the curve's equation; RFC 7748, section 5."""

Element = list[Any]
Columns = list[Any]


class Lanes(ABC):
    """Field arithmetic on `count` elements at once, in limbs of `widths` bits."""

    widths: tuple[int, ...]
    slots = 1
    """Elements side by side in chains of squares: two where one leaves multipliers idle."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.type = vector(count)
        self.limbs = len(self.widths)

    def constant(self, value: int) -> Any:
        """The same number in every lane."""
        return constant(self.count, value)

    def number(self, value: int) -> Element:
        """A number below 2^25 in every lane."""
        return [self.constant(value), *[self.constant(0)] * (self.limbs - 1)]

    def multiples(self, times: int) -> Element:
        """times · p, limb by limb, so that no limb of a difference gets below zero."""
        first = [(1 << self.widths[0]) - 19]
        rest = [(1 << width) - 1 for width in self.widths[1:]]
        return [self.constant(limb * times) for limb in first + rest]

    @abstractmethod
    def product(self, b: Any, x: Element, y: Element) -> Columns:
        """x y, unreduced."""

    @abstractmethod
    def power(self, b: Any, x: Element) -> Columns:
        """x^2, unreduced."""

    @abstractmethod
    def carry(self, b: Any, columns: Columns) -> Element:
        """Columns to limbs just above their widths."""

    @abstractmethod
    def scaled(self, b: Any, x: Element, factor: int, start: Element) -> Element:
        """start + x times a constant below 2^17."""

    def widen(self, b: Any, x: Element) -> Columns:
        """An element as columns."""
        del b
        return x

    def multiply(self, b: Any, x: Element, y: Element) -> Element:
        """x y."""
        return self.carry(b, self.product(b, x, y))

    def square(self, b: Any, x: Element) -> Element:
        """x^2."""
        return self.carry(b, self.power(b, x))

    def add(self, b: Any, x: Element, y: Element) -> Element:
        """x + y."""
        return self.carry(b, self.widen(b, add_all(b, x, y)))

    def subtract(self, b: Any, x: Element, y: Element) -> Element:
        """x - y, by way of x + 4p - y."""
        raised = add_all(b, x, self.multiples(4))
        return self.carry(b, self.widen(b, subtract_all(b, raised, y)))

    def plus_minus(self, b: Any, x: Element, y: Element) -> tuple[Element, Element]:
        """x + y and x - y of carried elements, good for one product."""
        raised = add_all(b, x, self.multiples(2))
        return add_all(b, x, y), subtract_all(b, raised, y)

    def times_19(self, b: Any, x: Any) -> Any:
        """19 x of 64 bits; LLVM picks shifts where a lane product is slow."""
        return b.mul(x, self.constant(19))

    def freeze(self, b: Any, x: Element) -> Element:
        """The one representative below p, every limb within its width."""
        x = self._ripple(b, self._ripple(b, x, fold=True), fold=True)
        over = self.constant(19)
        for limb, width in zip(x, self.widths, strict=True):
            over = b.lshr(b.add(limb, over), self.constant(width))
        return self._ripple(b, [b.add(x[0], self.times_19(b, over)), *x[1:]], fold=False)

    def _ripple(self, b: Any, x: Element, *, fold: bool) -> Element:
        """Carry from the lowest limb to the highest, and (`fold`) from there to the lowest."""
        over, out = self.constant(0), []
        for limb, width in zip(x, self.widths, strict=True):
            total = b.add(limb, over)
            out.append(b.and_(total, self.constant((1 << width) - 1)))
            over = b.lshr(total, self.constant(width))
        if fold:
            out[0] = b.add(out[0], self.times_19(b, over))
        return out

    def select(self, b: Any, mask: Any, yes: Element, no: Element) -> Element:
        """`yes` in the lanes where the mask is all ones, `no` where it is zero."""
        return [select(b, mask, u, v) for u, v in zip(yes, no, strict=True)]

    def ones_where_nonzero(self, b: Any, x: Any) -> Any:
        """All ones where a 64-bit lane is not zero, else zero."""
        sign = b.or_(x, b.sub(self.constant(0), x))
        return b.ashr(sign, self.constant(63))


class RegisterLanes(Lanes):
    """Lanes with registers for a whole step of the ladder, which joins products uncarried."""

    @abstractmethod
    def product(self, b: Any, x: Element, y: Element, *, biased: bool = False) -> Columns:
        """x y, unreduced. `biased`: ready to have another product subtracted from it."""

    @abstractmethod
    def power(self, b: Any, x: Element, *, biased: bool = False) -> Columns:
        """x^2, unreduced. `biased` as above."""

    @abstractmethod
    def sum_difference(self, b: Any, x: Columns, y: Columns) -> tuple[Element, Element]:
        """x + y and x - y of two products, the first one biased; good for one product."""
