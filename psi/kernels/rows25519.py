"""Rows of field elements in memory, and functions over them, as LLVM.

A workspace is a flat `uint64` array; row r holds `SLOTS` elements a lane. `FIELD` is the
arithmetic for this CPU; `LANES` and the limbs follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from psi.kernels.lanes25519 import Element, Lanes
from psi.kernels.simd import cpu_features, kernel_path
from psi.kernels.vectors import I64

__all__ = [
    "ALIGN",
    "BLOCK",
    "ELEMENT",
    "FIELD",
    "LANES",
    "LIMBS",
    "ROW",
    "SLOTS",
    "Memory",
    "data_of",
    "function",
    "repeat",
]


def field_lanes() -> Lanes:
    """The arithmetic for this CPU and path."""
    if kernel_path() == "wide":
        from psi.kernels.lanes25519_wide import WideLanes

        return WideLanes()
    features = cpu_features()
    if "sse2" in features:
        from psi.kernels.lanes25519_vector import VectorLanes

        wide = {"avx512f", "avx512dq"} <= features
        return VectorLanes(8 if wide else 4 if "avx2" in features else 2)
    from psi.kernels.lanes25519_scalar import ScalarLanes

    return ScalarLanes()


FIELD: Any = field_lanes()
SLOTS: int = FIELD.slots
"""Elements a row and lane."""
LANES: int = FIELD.count
LIMBS: int = FIELD.limbs
BLOCK = SLOTS * LANES
"""Points a row holds."""
ELEMENT = LIMBS * LANES
ROW = SLOTS * ELEMENT
"""64-bit words a row takes."""
ALIGN = 8 * LANES


class Memory:
    """Elements in a workspace, at rows known while emitting or computed at run time."""

    def __init__(self, b: Any, base: Any) -> None:
        self.b, self.base = b, b.bitcast(base, FIELD.type.as_pointer())

    def _places(self, row: Any, slot: int) -> list[Any]:
        vectors = SLOTS * LIMBS
        start = self.b.mul(row, ir.Constant(I64, vectors))
        offsets = [ir.Constant(I64, slot * LIMBS + limb) for limb in range(LIMBS)]
        return [self.b.gep(self.base, [self.b.add(start, offset)]) for offset in offsets]

    def load(self, row: Any, slot: int) -> Element:
        return [self.b.load(place, align=ALIGN) for place in self._places(row, slot)]

    def store(self, row: Any, slot: int, element: Element) -> None:
        for place, limb in zip(self._places(row, slot), element, strict=True):
            self.b.store(limb, place, align=ALIGN)


def function(module: Any, name: str, emit: Callable[[Any, Any], None], args: int) -> Any:
    """The function `name(workspace, args …)` of a module, emitted when it is first asked for."""
    name = f"fedprofile_25519_{name}"
    found = module.globals.get(name)
    if found is not None:
        return found
    kind = ir.FunctionType(ir.VoidType(), [I64.as_pointer()] + [I64] * args)
    made = ir.Function(module, kind, name)
    made.linkage = "internal"
    made.attributes.add("noinline")
    # else spilled vectors straddle cache lines, depending on where the stack happens to be
    made.attributes.alignstack = 64
    builder = ir.IRBuilder(made.append_basic_block())
    emit(builder, made.args)
    builder.ret_void()
    return made


def repeat(b: Any, count: Any, start: list[Any], body: Callable[[Any, list[Any]], Any]) -> Any:
    """Values after `count` (at least one) rounds of `body(round, values)`."""
    before = b.block
    loop, after = b.append_basic_block(), b.append_basic_block()
    b.branch(loop)
    b.position_at_end(loop)
    index = b.phi(I64)
    index.add_incoming(ir.Constant(I64, 0), before)
    phis = [b.phi(value.type) for value in start]
    for phi, value in zip(phis, start, strict=True):
        phi.add_incoming(value, before)
    results = body(index, phis)
    following = b.add(index, ir.Constant(I64, 1))
    index.add_incoming(following, b.block)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, b.block)
    b.cbranch(b.icmp_unsigned("<", following, count), loop, after)
    b.position_at_end(after)
    return results


def data_of(context: Any, b: Any, kind: Any, value: Any) -> Any:
    """The workspace's data, which its maker aligned."""
    return b.bitcast(context.make_array(kind)(context, b, value).data, I64.as_pointer())
