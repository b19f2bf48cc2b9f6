"""Two, four or eight elements at once: ten limbs of 26 and 25 bits, multiplied 32 × 32 to 64 bits.

For x86 CPUs with SSE2, AVX2 and AVX-512 without IFMA. Limb i weighs 2^⌈25.5 i⌉, so the
product of two odd limbs counts twice. Source of the representation: Bernstein 2006,
"Curve25519", and its integer form in Bernstein and Schwabe 2012, "NEON crypto".
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from psi.kernels.lanes25519 import Columns, Element, Lanes

__all__ = ["VectorLanes"]

_LIMBS = range(10)
_CHAIN = (0, 4, 1, 5, 2, 6, 3, 7, 4, 8, 9, 0)
"""Limbs that hand their carry on, in this order: two chains, so that neither is waited for."""


class VectorLanes(Lanes):
    """`count` lanes of 10 × 25.5 bits."""

    widths = (26, 25) * 5

    def _opaque(self, b: Any, x: list[Any]) -> list[Any]:
        """x through an empty assembly statement (of x86, like these lanes).

        LLVM would else move the factors that we put on limbs beforehand back onto products.
        """
        kind = ir.FunctionType(self.type, [self.type])
        same = ir.InlineAsm(kind, "", "=v,0" if self.count == 8 else "=x,0", side_effect=False)
        return [b.call(same, [value]) for value in x]

    def _multiply(self, b: Any, x: Any, y: Any) -> Any:
        """Of numbers below 2^32; the masks tell LLVM so and cost nothing."""
        low = self.constant(0xFFFFFFFF)
        return b.mul(b.and_(x, low), b.and_(y, low))

    def _columns(self, b: Any, terms: list[list[Any]]) -> Columns:
        """Sums of products: the first of each column, the second of each, and so on.

        That order keeps ten sums in registers and takes the factors from memory.
        """
        sums = [self._multiply(b, *column[0]) for column in terms]
        for row in range(1, 10):
            for k in _LIMBS:
                if row < len(terms[k]):
                    sums[k] = b.add(sums[k], self._multiply(b, *terms[k][row]))
        return sums

    def product(self, b: Any, x: Element, y: Element) -> Columns:
        """x y: 100 products."""
        odd = self._opaque(b, [b.add(limb, limb) for limb in x[1::2]])
        twice = [odd[i // 2] if i % 2 else x[i] for i in _LIMBS]
        y19 = self._opaque(b, [self._multiply(b, limb, self.constant(19)) for limb in y])
        terms: list[list[Any]] = [[] for _ in _LIMBS]
        for i in _LIMBS:
            for j in _LIMBS:
                left = twice[i] if j % 2 else x[i]
                terms[(i + j) % 10].append((left, y[j] if i + j < 10 else y19[j]))
        return self._columns(b, terms)

    def power(self, b: Any, x: Element) -> Columns:
        """x^2: 55 products."""
        twice = self._opaque(b, [b.add(limb, limb) for limb in x])
        x19 = self._opaque(b, [self._multiply(b, limb, self.constant(19)) for limb in x])
        x38 = self._opaque(b, [b.add(limb, limb) for limb in x19])
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
        return self._columns(b, terms)

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
