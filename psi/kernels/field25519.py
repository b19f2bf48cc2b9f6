"""Field and curve operations as compiled functions over a workspace.

A workspace is `uint64[rows, 5, lanes]`: each row holds one field element a lane. Operations
read and write rows by number, so a kernel is a short list of row numbers. `LANES` is eight or
one, by the path this process runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels import lanes25519 as lanes
from psi.kernels.simd import kernel_path

__all__ = ["LANES", "fe_add", "fe_multiply", "fe_square", "fe_subtract", "ladder_step"]

_lanes: Any = lanes.Wide if kernel_path() == "wide" else lanes.Narrow
LANES: int = _lanes.count
_I64 = ir.IntType(64)


def _pointer(context: Any, b: Any, kind: Any, value: Any) -> Any:
    data = context.make_array(kind)(context, b, value).data
    return b.bitcast(data, _lanes.type.as_pointer())


def _load(b: Any, pointer: Any, row: Any) -> list[Any]:
    start = b.mul(row, ir.Constant(_I64, lanes.LIMBS))
    places = [b.gep(pointer, [b.add(start, ir.Constant(_I64, i))]) for i in range(lanes.LIMBS)]
    return [b.load(place, align=8) for place in places]


def _store(b: Any, pointer: Any, row: Any, element: list[Any]) -> None:
    start = b.mul(row, ir.Constant(_I64, lanes.LIMBS))
    for i, limb in enumerate(element):
        b.store(limb, b.gep(pointer, [b.add(start, ir.Constant(_I64, i))]), align=8)


def _operation(emit: Callable[[Any, Any, Any], list[Any]]) -> Any:
    """work[out] = emit(work[x], work[y]) as a numba intrinsic."""

    @intrinsic
    def operation(_context: Any, work: Any, _out: Any, _x: Any, _y: Any) -> Any:
        def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
            pointer = _pointer(context, b, work, args[0])
            result = emit(b, _load(b, pointer, args[2]), _load(b, pointer, args[3]))
            _store(b, pointer, args[1], result)
            return context.get_dummy_value()

        return types.void(work, types.int64, types.int64, types.int64), generate

    return operation


fe_multiply = _operation(lambda b, x, y: list(_lanes.multiply(b, x, y)))
fe_square = _operation(lambda b, x, _y: list(_lanes.square(b, x)))
fe_add = _operation(lambda b, x, y: lanes.add(_lanes, b, x, y))
fe_subtract = _operation(lambda b, x, y: lanes.subtract(_lanes, b, x, y))


@intrinsic
def _ladder_step(_context: Any, work: Any, _swap: Any) -> Any:
    """One step of the Montgomery ladder on rows 1..4 = x2, z2, x3, z3, with x1 in row 0.

    `swap` is 0 or 1: the two points are exchanged first, by masks. RFC 7748, section 5.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        pointer, zero = _pointer(context, b, work, args[0]), ir.Constant(_I64, 0)
        mask = _lanes.broadcast(b, b.sub(zero, args[1]))
        rows = [_load(b, pointer, ir.Constant(_I64, row)) for row in range(5)]
        x1, (x2, x3), (z2, z3) = (
            rows[0],
            lanes.swap(b, mask, rows[1], rows[3]),
            lanes.swap(b, mask, rows[2], rows[4]),
        )
        for row, element in enumerate(_step(b, x1, x2, z2, x3, z3), start=1):
            _store(b, pointer, ir.Constant(_I64, row), element)
        return context.get_dummy_value()

    return types.void(work, types.int64), generate


def _step(b: Any, x1: Any, x2: Any, z2: Any, x3: Any, z3: Any) -> tuple[Any, Any, Any, Any]:
    """Doubling of (x2, z2) and differential addition, in registers."""
    mul, add, sub = _lanes.multiply, lanes.add, lanes.subtract
    a, c = add(_lanes, b, x2, z2), add(_lanes, b, x3, z3)
    s, d = sub(_lanes, b, x2, z2), sub(_lanes, b, x3, z3)
    aa, ss = _lanes.square(b, a), _lanes.square(b, s)
    da, cb = mul(b, d, a), mul(b, c, s)
    x3 = _lanes.square(b, add(_lanes, b, da, cb))
    z3 = mul(b, x1, _lanes.square(b, sub(_lanes, b, da, cb)))
    e = sub(_lanes, b, aa, ss)
    x2 = mul(b, aa, ss)
    z2 = mul(b, e, add(_lanes, b, aa, _lanes.multiply_small(b, e, 121665)))
    return x2, z2, x3, z3


ladder_step: Any = _ladder_step
