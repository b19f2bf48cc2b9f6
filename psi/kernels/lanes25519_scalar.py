"""One element: five 51-bit limbs in general registers, multiplied 64 × 64 to 128 bits.

For CPUs that are not x86. A limb may reach 2^53 before it is multiplied.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from psi.kernels.lanes25519 import Columns, Element, RegisterLanes
from psi.kernels.vectors import I64, add_all

__all__ = ["ScalarLanes"]

_I128 = ir.IntType(128)
_LIMBS = range(5)
_MASK = (1 << 51) - 1


class ScalarLanes(RegisterLanes):
    """One lane of 5 × 51 bits."""

    widths = (51,) * 5

    def __init__(self) -> None:
        super().__init__(1)

    def _columns(self, b: Any, terms: list[list[Any]]) -> Columns:
        columns = []
        for column in terms:
            products = [b.mul(b.zext(x, _I128), b.zext(y, _I128)) for x, y in column]
            total = products[0]
            for product in products[1:]:
                total = b.add(total, product)
            columns.append(total)
        return columns

    def product(self, b: Any, x: Element, y: Element, *, biased: bool = False) -> Columns:
        """x y: 25 products."""
        del biased
        y19 = [self.times_19(b, limb) for limb in y]
        terms = [[(x[i], y[k - i] if i <= k else y19[k - i + 5]) for i in _LIMBS] for k in _LIMBS]
        return self._columns(b, terms)

    def power(self, b: Any, x: Element, *, biased: bool = False) -> Columns:
        """x^2: 15 products."""
        twice = [b.add(limb, limb) for limb in x]
        x19 = [self.times_19(b, limb) for limb in x]
        terms: list[list[Any]] = [[] for _ in _LIMBS]
        for i in _LIMBS:
            for j in range(i, 5):
                left = x[i] if i == j else twice[i]
                terms[(i + j) % 5].append((left, x[j] if i + j < 5 else x19[j]))
        return self._columns(b, terms)

    def carry(self, b: Any, columns: Columns) -> Element:
        """A chain of carries, and a short one after the fold."""
        limbs: Element = []
        over = ir.Constant(_I128, 0)
        for column in columns:
            total = b.add(column, over)
            limbs.append(b.and_(b.trunc(total, I64), self.constant(_MASK)))
            over = b.zext(b.trunc(b.lshr(total, ir.Constant(_I128, 51)), I64), _I128)
        first = b.add(limbs[0], self.times_19(b, b.trunc(over, I64)))
        limbs[1] = b.add(limbs[1], b.lshr(first, self.constant(51)))
        return [b.and_(first, self.constant(_MASK)), *limbs[1:]]

    def sum_difference(self, b: Any, x: Columns, y: Columns) -> tuple[Element, Element]:
        """x + y and x - y of two products: carried first, 128-bit sums cost more."""
        return self.plus_minus(b, self.carry(b, x), self.carry(b, y))

    def scaled(self, b: Any, x: Element, factor: int, start: Element) -> Element:
        """start + x times a constant below 2^17."""
        c = self.constant(factor)
        products = self._columns(b, [[(limb, c)] for limb in x])
        return self.carry(b, add_all(b, products, self.widen(b, start)))

    def widen(self, b: Any, x: Element) -> Columns:
        """Limbs as 128-bit columns."""
        return [b.zext(limb, _I128) for limb in x]
