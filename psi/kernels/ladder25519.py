"""The Montgomery ladder, in registers where a whole step fits, else in memory.

The state is not (x2 : z2), (x3 : z3) but their sums and differences, a = x2 + z2, s = x2 - z2,
c = x3 + z3, d = x3 - z3: that is all a step reads, and it lets x ± z be taken of unreduced
products and carried once. Exchanging the two points exchanges da with cb, which changes only
the sign of a number that is squared; so the exchange selects what is doubled, and no more.
Sources: Montgomery 1987; RFC 7748, section 5 (formulas); the rest is arithmetic.

Per step and lane: five products, four squares and one small multiple; the same instructions
and the same addresses for every scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.field25519 import call_operation
from psi.kernels.lanes25519 import A24, Element, RegisterLanes
from psi.kernels.rows25519 import ALIGN, BLOCK, FIELD, SLOTS, Memory, data_of, function, repeat
from psi.kernels.vectors import I64

__all__ = ["BITS", "ladder"]

BITS = 256
"""Length of every scalar, whatever its value."""


def _in_registers(
    field: RegisterLanes,
    b: Any,
    point: Element,
    mask: Callable[[Any], Any],
) -> tuple[Element, Element]:
    """x and z of a scalar times the point, `mask(t)` saying whether step t exchanges first."""
    one = field.number(1)
    # the point at infinity is (1 : 0)
    start = [one, one, field.add(b, point, one), field.subtract(b, point, one)]

    def body(t: Any, flat: list[Any]) -> list[Any]:
        return _join(_step(field, b, point, _split(field, flat), mask(t)))

    a, s, c, d = _split(field, repeat(b, ir.Constant(I64, BITS), _join(start), body))
    last = mask(ir.Constant(I64, BITS))
    u, v = field.select(b, last, c, a), field.select(b, last, d, s)
    # twice x and twice z: the same point
    return field.add(b, u, v), field.subtract(b, u, v)


def _step(
    field: RegisterLanes, b: Any, x1: Element, state: list[Element], mask: Any
) -> list[Element]:
    """Double the selected point and add both. Products that can wait for others come later."""
    a, s, c, d = state
    squared_a = field.power(b, field.select(b, mask, c, a), biased=True)
    squared_s = field.power(b, field.select(b, mask, d, s))
    _, e = field.sum_difference(b, squared_a, squared_s)
    da, cb = field.product(b, d, a, biased=True), field.product(b, c, s)
    aa, ss = field.carry(b, squared_a), field.carry(b, squared_s)
    t = field.scaled(b, e, A24, aa)
    x2 = field.product(b, aa, ss, biased=True)
    u, v = field.sum_difference(b, da, cb)
    z2 = field.product(b, e, t)
    vv = field.carry(b, field.power(b, v))
    x3 = field.power(b, u, biased=True)
    a, s = field.sum_difference(b, x2, z2)
    z3 = field.product(b, x1, vv)
    c, d = field.sum_difference(b, x3, z3)
    return [a, s, c, d]


def _join(elements: list[Element]) -> list[Any]:
    return [limb for element in elements for limb in element]


def _split(field: RegisterLanes, flat: list[Any]) -> list[Element]:
    return [flat[i : i + field.limbs] for i in range(0, len(flat), field.limbs)]


def _emit_in_registers(b: Any, args: Any) -> None:
    base, masks, x, z, row = args
    memory, wanted = Memory(b, base), Memory(b, b.inttoptr(masks, I64.as_pointer()))
    for slot in range(SLOTS):
        first = ir.Constant(I64, slot)

        def mask(step: Any, first: Any = first) -> Any:
            place = b.add(b.mul(step, ir.Constant(I64, SLOTS)), first)
            return b.load(b.gep(wanted.base, [place]), align=ALIGN)

        u, v = _in_registers(FIELD, b, memory.load(row, slot), mask)
        memory.store(x, slot, u)
        memory.store(z, slot, v)


_X1, _A, _S, _C, _D, _P, _Q, _AA, _SS = range(9)
"""Rows of the ladder in memory: the point, the state x2 ± z2 and x3 ± z3, and intermediates."""
_STEP: tuple[tuple[Any, ...], ...] = (
    ("square", _AA, _P),
    ("square", _SS, _Q),
    ("multiply", _D, _D, _A),
    ("multiply", _C, _C, _S),
    ("plus_minus", _P, _AA, _SS),
    ("scaled", _P, _Q, _AA),
    ("multiply", _AA, _AA, _SS),
    ("multiply", _SS, _Q, _P),
    ("plus_minus", _C, _D, _C),
    ("square", _C, _C),
    ("square", _D, _D),
    ("multiply", _D, _D, _X1),
    ("plus_minus", _A, _AA, _SS),
    ("plus_minus", _C, _C, _D),
)


def _emit_in_memory(b: Any, args: Any) -> None:
    """The ladder as calls on rows, for CPUs with few registers."""
    work, masks, x, z, row = args

    def call(operation: str, *values: Any) -> None:
        call_operation(b, work, operation, *values)

    def exchange(step: Any) -> None:
        call("exchanged", _P, _A, b.add(masks, b.mul(step, ir.Constant(I64, 8 * BLOCK))))

    call("copy", _X1, row)
    # the point at infinity is (1 : 0)
    call("constant", _AA, 1)
    call("constant", _SS, 0)
    call("plus_minus", _A, _AA, _SS)
    call("plus_minus", _C, _X1, _AA)

    def body(index: Any, values: list[Any]) -> list[Any]:
        exchange(index)
        for operation in _STEP:
            call(*operation)
        return values

    repeat(b, ir.Constant(I64, BITS), [], body)
    exchange(ir.Constant(I64, BITS))
    # twice x and twice z: the same point
    call("add", x, _P, _Q)
    call("subtract", z, _P, _Q)


@intrinsic
def _ladder(_context: Any, work: Any, masks: Any, _x: Any, _z: Any, _row: Any) -> Any:
    """Rows x, z = x and z of the scalars behind `masks` times the points of `row`.

    `masks: uint64[(BITS + 1) · BLOCK]`: all ones or zero, whether to exchange before each step
    and after the last. Rows 0 to 8 may be spoiled.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        emit = _emit_in_registers if isinstance(FIELD, RegisterLanes) else _emit_in_memory
        called = function(b.module, "ladder", emit, 4)
        pointer = b.ptrtoint(data_of(context, b, masks, args[1]), I64)
        b.call(called, [data_of(context, b, work, args[0]), pointer, *args[2:]])
        return context.get_dummy_value()

    return types.void(work, masks, types.int64, types.int64, types.int64), generate


ladder: Any = _ladder
