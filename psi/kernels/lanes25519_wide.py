"""Eight elements at once: five 51-bit limbs, multiplied by AVX-512 IFMA.

`vpmadd52` adds the low or the high 52 bits of a product of two 52-bit numbers. A limb stays
below 2^52 with a bit to spare for lazy carries; hence a high half counts twice. The high halves
are summed first, doubled, and the low halves go on top, which spares an addition a column.
"""

from __future__ import annotations

from typing import Any

from psi.kernels.lanes25519 import Columns, Element, RegisterLanes
from psi.kernels.vectors import add_all, madd52, subtract_all

__all__ = ["WideLanes"]

_LIMBS = range(5)
_MASK = (1 << 51) - 1
_BIAS = 1 << 9
"""How often p is added to the first of two products before they are subtracted."""


class WideLanes(RegisterLanes):
    """Eight lanes of 5 × 51 bits."""

    widths = (51,) * 5
    slots = 2

    def __init__(self) -> None:
        super().__init__(8)

    def _start(self, *, biased: bool, shift: int) -> Columns:
        """Where the sums of ten columns begin, halved `shift` times."""
        zeros = [self.constant(0)] * 10
        return [*self.multiples(_BIAS >> shift), *zeros[5:]] if biased else zeros

    def product(self, b: Any, x: Element, y: Element, *, biased: bool = False) -> Columns:
        """x y: 50 multiply-adds. `biased`: ready to subtract another product from."""
        # high[k] weighs as much as two of column k + 1
        high = self._start(biased=biased, shift=1)[1:]
        for i in _LIMBS:
            for j in _LIMBS:
                high[i + j] = madd52(b, "h", high[i + j], x[i], y[j])
        low = [self._start(biased=biased, shift=0)[0], *(b.add(h, h) for h in high)]
        for i in _LIMBS:
            for j in _LIMBS:
                low[i + j] = madd52(b, "l", low[i + j], x[i], y[j])
        return self._fold(b, low)

    def power(self, b: Any, x: Element, *, biased: bool = False) -> Columns:
        """x^2: 30 multiply-adds, the products of different limbs doubled as sums."""
        halves, quarters = (self._start(biased=biased, shift=n) for n in (1, 2))
        pairs = [(i, j) for i in _LIMBS for j in range(i + 1, 5)]
        cross = quarters[1:]
        for i, j in pairs:
            cross[i + j] = madd52(b, "h", cross[i + j], x[i], x[j])
        # columns 0 and 8 have no products of different limbs
        high = [halves[1], *(b.add(h, h) for h in cross[1:8]), halves[9]]
        for i in _LIMBS:
            high[2 * i] = madd52(b, "h", high[2 * i], x[i], x[i])
        half = [halves[0], *high]
        for i, j in pairs:
            half[i + j] = madd52(b, "l", half[i + j], x[i], x[j])
        low = [b.add(h, h) for h in half]
        for i in _LIMBS:
            low[2 * i] = madd52(b, "l", low[2 * i], x[i], x[i])
        return self._fold(b, low)

    def _fold(self, b: Any, columns: Columns) -> Columns:
        """Ten columns to five: 2^255 is 19."""
        return [b.add(columns[k], self.times_19(b, columns[k + 5])) for k in _LIMBS]

    def carry(self, b: Any, columns: Columns) -> Element:
        """One parallel carry: columns below 2^62 come out just above 51 bits."""
        mask, shift = self.constant(_MASK), self.constant(51)
        over = [b.lshr(column, shift) for column in columns]
        kept = [b.and_(column, mask) for column in columns]
        return add_all(b, kept, [self.times_19(b, over[4]), *over[:4]])

    def sum_difference(self, b: Any, x: Columns, y: Columns) -> tuple[Element, Element]:
        """x + y and x - y of two products, the first one biased; carried once."""
        return self.carry(b, add_all(b, x, y)), self.carry(b, subtract_all(b, x, y))

    def scaled(self, b: Any, x: Element, factor: int, start: Element) -> Element:
        """start + x times a constant below 2^17."""
        zero, c = self.constant(0), self.constant(factor)
        high = [madd52(b, "h", zero, limb, c) for limb in x]
        high = [b.add(h, h) for h in high]
        begin = add_all(b, start, [self.times_19(b, high[4]), *high[:4]])
        return self.carry(b, [madd52(b, "l", s, limb, c) for s, limb in zip(begin, x, strict=True)])
