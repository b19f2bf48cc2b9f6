"""The Montgomery ladder, a step at a time in registers.

The state is not (x2 : z2), (x3 : z3) but their sums and differences, a = x2 + z2, s = x2 - z2,
c = x3 + z3, d = x3 - z3: that is all a step reads, and it lets x ± z be taken of unreduced
products and carried once. Exchanging the two points exchanges da with cb, which changes only
the sign of a number that is squared; so the exchange selects what is doubled, and no more.
Sources: Montgomery 1987; RFC 7748, section 5 (formulas); the rest is arithmetic.

Per step and lane: five products, four squares, one small multiple, eleven carries; the same
instructions for every scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from psi.kernels.lanes25519 import Element, Lanes
from psi.kernels.vectors import I64

__all__ = ["A24", "emit_ladder"]

A24 = 121665
"""(486662 - 2) / 4."""


def emit_ladder(
    field: Lanes,
    b: Any,
    repeat: Callable[..., Any],
    point: Element,
    mask: Callable[[Any], Any],
    bits: int,
) -> tuple[Element, Element]:
    """x and z of the scalar times the point, `mask(t)` saying whether step t exchanges first."""
    one = [field.constant(int(limb == 0)) for limb in range(field.limbs)]
    # the point at infinity is (1 : 0)
    start = [one, one, field.add(b, point, one), field.subtract(b, point, one)]

    def body(t: Any, flat: list[Any]) -> list[Any]:
        a, s, c, d = _split(field, flat)
        swapped = mask(t)
        return _join(_step(field, b, point, (a, s, c, d), swapped))

    done = repeat(b, ir.Constant(I64, bits), _join(start), body)
    a, s, c, d = _split(field, done)
    last = mask(ir.Constant(I64, bits))
    a, s = field.select(b, last, c, a), field.select(b, last, d, s)
    # twice x and twice z: the same point
    return field.add(b, a, s), field.subtract(b, a, s)


def _step(
    field: Lanes, b: Any, x1: Element, state: tuple[Element, ...], mask: Any
) -> tuple[Element, ...]:
    a, s, c, d = state
    double_a, double_s = field.select(b, mask, c, a), field.select(b, mask, d, s)
    squared_a = field.power(b, double_a, biased=True)
    squared_s = field.power(b, double_s)
    e = field.difference(b, squared_a, squared_s)
    aa, ss = field.carry(b, squared_a), field.carry(b, squared_s)
    da, cb = field.product(b, d, a, biased=True), field.product(b, c, s)
    t = field.scaled(b, e, A24, aa)
    x2 = field.product(b, aa, ss, biased=True)
    u, v = field.sum_difference(b, da, cb)
    z2 = field.product(b, e, t)
    vv = field.square(b, v)
    x3 = field.power(b, u, biased=True)
    a, s = field.sum_difference(b, x2, z2)
    z3 = field.product(b, x1, vv)
    c, d = field.sum_difference(b, x3, z3)
    return a, s, c, d


def _join(elements: Any) -> list[Any]:
    return [limb for element in elements for limb in element]


def _split(field: Lanes, flat: list[Any]) -> list[Element]:
    return [flat[i : i + field.limbs] for i in range(0, 4 * field.limbs, field.limbs)]
