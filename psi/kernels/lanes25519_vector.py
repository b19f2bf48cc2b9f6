"""Four or eight elements at once: ten limbs of 26 and 25 bits, multiplied 32 × 32 to 64 bits.

For AVX2 (four lanes) and for AVX-512 without IFMA (eight). Limb i weighs 2^⌈25.5 i⌉, so the
product of two odd limbs counts twice. Source of the representation: Bernstein 2006,
"Curve25519", and its later integer form in Bernstein and Schwabe 2012, "NEON crypto".
"""

from __future__ import annotations

from typing import Any

from psi.kernels.lanes25519 import Columns, Element, Lanes

__all__ = ["VectorLanes"]

_LIMBS = range(10)
_CHAIN = (0, 4, 1, 5, 2, 6, 3, 7, 4, 8, 9, 0)
"""Limbs that hand their carry on, in this order: two chains, so that neither is waited for."""


class VectorLanes(Lanes):
    """`count` lanes of 10 × 25.5 bits."""

    widths = (26, 25) * 5
    column_bias = 1 << 35

    def _multiply(self, b: Any, x: Any, y: Any) -> Any:
        """Of numbers below 2^32; the masks tell LLVM so and cost nothing."""
        low = self.constant(0xFFFFFFFF)
        return b.mul(b.and_(x, low), b.and_(y, low))

    def _columns(self, b: Any, terms: list[list[Any]], *, biased: bool) -> Columns:
        starts = self.multiples(self.column_bias) if biased else [None] * 10
        columns = []
        for total, column in zip(starts, terms, strict=True):
            for x, y in column:
                product = self._multiply(b, x, y)
                total = product if total is None else b.add(total, product)  # noqa: PLW2901
            columns.append(total)
        return columns

    def product(self, b: Any, x: Element, y: Element, *, biased: bool = False) -> Columns:
        """x y: 100 products."""
        twice = [b.add(x[i], x[i]) if i % 2 else x[i] for i in _LIMBS]
        y19 = [self._multiply(b, limb, self.constant(19)) for limb in y]
        terms: list[list[Any]] = [[] for _ in _LIMBS]
        for i in _LIMBS:
            for j in _LIMBS:
                left = twice[i] if j % 2 else x[i]
                terms[(i + j) % 10].append((left, y[j] if i + j < 10 else y19[j]))
        return self._columns(b, terms, biased=biased)

    def power(self, b: Any, x: Element, *, biased: bool = False) -> Columns:
        """x^2: 55 products."""
        twice = [b.add(limb, limb) for limb in x]
        x19 = [self._multiply(b, limb, self.constant(19)) for limb in x]
        x38 = [b.add(limb, limb) for limb in x19]
        terms: list[list[Any]] = [[] for _ in _LIMBS]
        for i in _LIMBS:
            for j in range(i, 10):
                left = x[i] if i == j else twice[i]
                odd = i % 2 and j % 2
                if i + j < 10:
                    right = twice[j] if odd else x[j]
                else:
                    right = x38[j] if odd else x19[j]
                terms[(i + j) % 10].append((left, right))
        return self._columns(b, terms, biased=biased)

    def carry(self, b: Any, columns: Columns) -> Element:
        """Two chains of carries: columns below 2^63 come out just above their widths."""
        x = list(columns)
        for limb in _CHAIN:
            over = b.lshr(x[limb], self.constant(self.widths[limb]))
            x[limb] = b.and_(x[limb], self.constant((1 << self.widths[limb]) - 1))
            if limb == 9:
                over = self.times_19(b, over)
            x[(limb + 1) % 10] = b.add(x[(limb + 1) % 10], over)
        return x

    def times_19(self, b: Any, x: Any) -> Any:
        """By shifts: AVX2 has no 64-bit lane product."""
        return b.add(b.add(x, b.add(x, x)), b.shl(x, self.constant(4)))

    def scaled(self, b: Any, x: Element, factor: int, start: Element) -> Element:
        """start + x times a constant below 2^17."""
        c = self.constant(factor)
        terms = [self._multiply(b, limb, c) for limb in x]
        return self.carry(b, [b.add(s, term) for s, term in zip(start, terms, strict=True)])

    def widen(self, b: Any, x: Element) -> Columns:
        """Limbs are columns."""
        del b
        return x
