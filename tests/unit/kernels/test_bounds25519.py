"""No sum overflows: the code that emits instructions, run over bounds of limbs instead of limbs.

A number here is the least and the greatest value that a limb can have. Carried elements go in
at their bound, and what comes out must be within it again, so that any sequence of operations
stays there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from psi.kernels import lanes25519_wide
from psi.kernels.lanes25519 import A24
from psi.kernels.lanes25519_vector import VectorLanes
from psi.kernels.lanes25519_wide import WideLanes

WORD = 2**64


@dataclass(frozen=True)
class Bounds:
    low: int
    high: int

    def __post_init__(self) -> None:
        assert 0 <= self.low <= self.high < WORD, "a limb below zero, or above 64 bits"


def of(value: Any) -> Bounds:
    if isinstance(value, Bounds):
        return value
    number: Any = value.constant[0] if isinstance(value.constant, list) else value.constant
    number = getattr(number, "constant", number)
    return Bounds(number, number)


class Builder:
    """The instructions that field arithmetic uses, on bounds."""

    def add(self, x: Any, y: Any) -> Bounds:
        x, y = of(x), of(y)
        return Bounds(x.low + y.low, x.high + y.high)

    def sub(self, x: Any, y: Any) -> Bounds:
        x, y = of(x), of(y)
        return Bounds(x.low - y.high, x.high - y.low)

    def mul(self, x: Any, y: Any) -> Bounds:
        x, y = of(x), of(y)
        return Bounds(x.low * y.low, x.high * y.high)

    def shl(self, x: Any, y: Any) -> Bounds:
        return self.mul(x, Bounds(2 ** of(y).low, 2 ** of(y).low))

    def lshr(self, x: Any, y: Any) -> Bounds:
        return Bounds(of(x).low >> of(y).low, of(x).high >> of(y).low)

    def and_(self, x: Any, y: Any) -> Bounds:
        x, mask = of(x), of(y).high
        if mask == 2**32 - 1:
            assert x.high <= mask, "a factor above 32 bits"
        return x if x.high <= mask else Bounds(0, mask)

    def call(self, _function: Any, values: list[Any]) -> Bounds:
        return of(values[0])  # the empty assembly statement


def madd52(b: Builder, half: str, total: Any, x: Any, y: Any) -> Bounds:
    x, y = of(x), of(y)
    assert max(x.high, y.high) < 2**52, "a factor above 52 bits"
    product = x.high * y.high
    part = product >> 52 if half == "h" else min(product, 2**52 - 1)
    return b.add(total, Bounds(0, part))


LANES = [VectorLanes(4), WideLanes()]


@pytest.mark.parametrize("field", LANES, ids=["vector", "wide"])
def test_operations_on_carried_elements_stay_within_bounds(
    field: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes25519_wide, "madd52", madd52)
    b: Any = Builder()
    slack = 2**16 if isinstance(field, VectorLanes) else 2**18
    carried = [Bounds(0, 2**width + slack) for width in field.widths]

    def within(element: list[Any]) -> None:
        assert all(of(x).high <= bound.high for x, bound in zip(element, carried, strict=True))

    within(field.multiply(b, carried, carried))
    within(field.square(b, carried))
    within(field.add(b, carried, carried))
    within(field.subtract(b, carried, carried))
    within(field.scaled(b, carried, A24, carried))
    if isinstance(field, VectorLanes):
        # sums and differences go into products as they are, both factors of them
        pairs = field.plus_minus(b, carried, carried)
        for x in pairs:
            within(field.square(b, x))
            for y in pairs:
                within(field.multiply(b, x, y))
                within(field.scaled(b, y, A24, carried))
    else:
        # products are added and subtracted before they are carried, the first one biased
        first, second = field.product(b, carried, carried, biased=True), field.power(b, carried)
        for element in field.sum_difference(b, first, second):
            within(element)
        within(field.carry(b, field.product(b, carried, carried, biased=True)))
        within(field.carry(b, field.power(b, carried, biased=True)))
