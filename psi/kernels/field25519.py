"""Field operations on rows of a workspace, and programs of them that numba kernels can call.

A program is a short list of operations; it compiles to calls of functions that exist once a
module, which keeps compile time low.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.lanes25519 import A24, Element
from psi.kernels.rows25519 import (
    ALIGN,
    FIELD,
    LANES,
    LIMBS,
    SLOTS,
    Memory,
    data_of,
    function,
    repeat,
)
from psi.kernels.vectors import I64, splat

__all__ = ["call_operation", "field_program"]

Operation = tuple[Any, ...]


def _binary(emit: Callable[[Any, Element, Element], Element]) -> Callable[[Any, Any], None]:
    def binary(b: Any, args: Any) -> None:
        base, out, x, y = args
        memory = Memory(b, base)
        # all loads before any store: LLVM cannot know that rows are the same or apart
        pairs = [(memory.load(x, slot), memory.load(y, slot)) for slot in range(SLOTS)]
        for slot, (u, v) in enumerate(pairs):
            memory.store(out, slot, emit(b, u, v))

    return binary


def _squares(b: Any, args: Any) -> None:
    """out = x^(2^count), in registers, the slots side by side."""
    base, out, x, count = args
    memory = Memory(b, base)

    def body(_index: Any, limbs: list[Any]) -> list[Any]:
        elements = [limbs[i : i + LIMBS] for i in range(0, len(limbs), LIMBS)]
        columns = [FIELD.power(b, element) for element in elements]
        return [limb for column in columns for limb in FIELD.carry(b, column)]

    start = [limb for slot in range(SLOTS) for limb in memory.load(x, slot)]
    limbs = repeat(b, count, start, body)
    for slot in range(SLOTS):
        memory.store(out, slot, limbs[slot * LIMBS : (slot + 1) * LIMBS])


def _square(b: Any, args: Any) -> None:
    """out = x^2."""
    base, out, x, _ = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        memory.store(out, slot, FIELD.square(b, memory.load(x, slot)))


def _freeze(b: Any, args: Any) -> None:
    """out = x, reduced to the one representative below p."""
    base, out, x, _ = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        memory.store(out, slot, FIELD.freeze(b, memory.load(x, slot)))


def _guard(b: Any, args: Any) -> None:
    """Before x / y: where y is zero, both become such that the quotient is 0 / 1."""
    base, x, y, _ = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        divisor = memory.load(y, slot)
        joined = FIELD.constant(0)
        for limb in FIELD.freeze(b, divisor):
            joined = b.or_(joined, limb)
        mask = FIELD.ones_where_nonzero(b, joined)
        memory.store(x, slot, [b.and_(limb, mask) for limb in memory.load(x, slot)])
        memory.store(y, slot, FIELD.select(b, mask, divisor, FIELD.number(1)))


def _choose(b: Any, args: Any) -> None:
    """out = x where the Legendre symbol in row `by` is 0 or 1, else out stays."""
    base, out, x, by = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        # of 0, 1 and p - 1 only the last has a second limb
        minus = FIELD.ones_where_nonzero(b, FIELD.freeze(b, memory.load(by, slot))[1])
        chosen = FIELD.select(b, minus, memory.load(out, slot), memory.load(x, slot))
        memory.store(out, slot, chosen)


def _adopt(b: Any, args: Any) -> None:
    """out = x where row `by` is zero, else out stays."""
    base, out, x, by = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        joined = FIELD.constant(0)
        for limb in FIELD.freeze(b, memory.load(by, slot)):
            joined = b.or_(joined, limb)
        mask = FIELD.ones_where_nonzero(b, joined)
        chosen = FIELD.select(b, mask, memory.load(out, slot), memory.load(x, slot))
        memory.store(out, slot, chosen)


def _copy(b: Any, args: Any) -> None:
    base, out, x, _ = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        memory.store(out, slot, memory.load(x, slot))


def _constant(b: Any, args: Any) -> None:
    base, out, value, _ = args
    memory = Memory(b, base)
    zeros = FIELD.number(0)[1:]
    for slot in range(SLOTS):
        memory.store(out, slot, [splat(b, LANES, value), *zeros])


def _exchanged(b: Any, args: Any) -> None:
    """Rows out, out + 1 = rows x, x + 1, or x + 2, x + 3 where the masks at an address are set."""
    base, out, x, address = args
    memory, masks = Memory(b, base), Memory(b, b.inttoptr(address, I64.as_pointer()))
    for slot in range(SLOTS):
        mask = b.load(b.gep(masks.base, [ir.Constant(I64, slot)]), align=ALIGN)
        for i in range(2):
            yes = memory.load(b.add(x, ir.Constant(I64, 2 + i)), slot)
            no = memory.load(b.add(x, ir.Constant(I64, i)), slot)
            memory.store(b.add(out, ir.Constant(I64, i)), slot, FIELD.select(b, mask, yes, no))


def _plus_minus(b: Any, args: Any) -> None:
    """Rows out, out + 1 = x + y, x - y, good for one product."""
    base, out, x, y = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        total, gap = FIELD.plus_minus(b, memory.load(x, slot), memory.load(y, slot))
        memory.store(out, slot, total)
        memory.store(b.add(out, ir.Constant(I64, 1)), slot, gap)


def _scaled(b: Any, args: Any) -> None:
    """out = y + A24 x."""
    base, out, x, y = args
    memory = Memory(b, base)
    for slot in range(SLOTS):
        result = FIELD.scaled(b, memory.load(x, slot), A24, memory.load(y, slot))
        memory.store(out, slot, result)


_OPERATIONS: dict[str, Callable[[Any, Any], None]] = {
    "multiply": _binary(FIELD.multiply),
    "add": _binary(FIELD.add),
    "subtract": _binary(FIELD.subtract),
    "square": _square,
    "squares": _squares,
    "freeze": _freeze,
    "guard": _guard,
    "choose": _choose,
    "adopt": _adopt,
    "copy": _copy,
    "constant": _constant,
    "exchanged": _exchanged,
    "plus_minus": _plus_minus,
    "scaled": _scaled,
}


def call_operation(b: Any, work: Any, operation: str, *args: Any) -> None:
    """Emit an operation on rows of the workspace at `work`; numbers known now may be ints."""
    values = [ir.Constant(I64, value) if isinstance(value, int) else value for value in args]
    values += [ir.Constant(I64, 0)] * (3 - len(values))
    b.call(function(b.module, operation, _OPERATIONS[operation], 3), [work, *values])


def field_program(name: str, *steps: Operation) -> Any:
    """A numba function `(workspace, a, b, c)` that runs `steps` on rows of the workspace.

    A step is (operation, three rows or numbers); "a", "b" and "c" stand for the arguments.
    Operations: multiply, add, subtract (out, x, y); square (out, x); squares (out, x, how often);
    freeze (out, x); guard (x, y): before a quotient; choose (out, x, by), adopt (out, x, by);
    copy (out, x); constant (out, number below 2^25).
    """

    def emit(b: Any, args: Any) -> None:
        given = dict(zip("abc", args[1:], strict=True))
        for operation, *rows in steps:
            call_operation(b, args[0], operation, *(given.get(row, row) for row in rows))

    @intrinsic
    def program(_context: Any, work: Any, _a: Any, _b: Any, _c: Any) -> Any:
        def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
            called = function(b.module, name, emit, 3)
            b.call(called, [data_of(context, b, work, args[0]), *args[1:]])
            return context.get_dummy_value()

        return types.void(work, types.int64, types.int64, types.int64), generate

    return program
