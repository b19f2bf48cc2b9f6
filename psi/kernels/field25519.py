"""Field programs and the ladder as functions that numba kernels can call.

A workspace is a flat `uint64` array from `workspace_size`; row r holds `SLOTS` elements a lane,
and every operation works on all of them, so that one waits less for the other. A program is a
short list of operations on rows; it compiles to calls of functions that exist once a module,
which keeps compile time low. `LANES` and the limbs follow the CPU (`field_lanes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.ladder25519 import emit_ladder
from psi.kernels.lanes25519 import Element, Lanes
from psi.kernels.simd import cpu_features, kernel_path
from psi.kernels.vectors import I64, splat

__all__ = [
    "BITS",
    "BLOCK",
    "ELEMENT",
    "LANES",
    "LIMBS",
    "ROW",
    "SLOTS",
    "field_program",
    "ladder",
]

SLOTS = 2
"""Elements a row and lane: two independent chains of operations keep the multipliers busy."""


def field_lanes() -> Lanes:
    """The arithmetic for this CPU and path."""
    if kernel_path() == "wide":
        from psi.kernels.lanes25519_wide import WideLanes

        return WideLanes()
    features = cpu_features()
    if "avx2" in features:
        from psi.kernels.lanes25519_vector import VectorLanes

        return VectorLanes(8 if {"avx512f", "avx512dq"} <= features else 4)
    from psi.kernels.lanes25519_scalar import ScalarLanes

    return ScalarLanes()


_field = field_lanes()
LANES: int = _field.count
LIMBS: int = _field.limbs
BLOCK = SLOTS * LANES
"""Points a row holds."""
ELEMENT = LIMBS * LANES
ROW = SLOTS * ELEMENT
"""64-bit words a row takes."""
BITS = 256
_VOID = ir.VoidType()
_ALIGN = 8 * LANES

Operation = tuple[Any, ...]


class _Memory:
    """Elements in a workspace, at rows known while emitting or computed at run time."""

    def __init__(self, b: Any, base: Any) -> None:
        self.b, self.base = b, b.bitcast(base, _field.type.as_pointer())

    def _places(self, row: Any, slot: int) -> list[Any]:
        vectors = SLOTS * LIMBS
        start = self.b.mul(row, ir.Constant(I64, vectors))
        offsets = [ir.Constant(I64, slot * LIMBS + limb) for limb in range(LIMBS)]
        return [self.b.gep(self.base, [self.b.add(start, offset)]) for offset in offsets]

    def load(self, row: Any, slot: int) -> Element:
        return [self.b.load(place, align=_ALIGN) for place in self._places(row, slot)]

    def store(self, row: Any, slot: int, element: Element) -> None:
        for place, limb in zip(self._places(row, slot), element, strict=True):
            self.b.store(limb, place, align=_ALIGN)


def _function(module: Any, name: str, emit: Callable[[Any, Any], None], args: int) -> Any:
    """The function `name(workspace, args …)` of a module, emitted when it is first asked for."""
    name = f"fedprofile_25519_{name}"
    found = module.globals.get(name)
    if found is not None:
        return found
    kind = ir.FunctionType(_VOID, [I64.as_pointer()] + [I64] * args)
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    emit(builder, function.args)
    builder.ret_void()
    return function


def _repeat(b: Any, count: Any, start: list[Any], body: Callable[[Any, list[Any]], Any]) -> Any:
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


def _binary(emit: Callable[[Any, Element, Element], Element]) -> Callable[[Any, Any], None]:
    def function(b: Any, args: Any) -> None:
        base, out, x, y = args
        memory = _Memory(b, base)
        pairs = [(memory.load(x, slot), memory.load(y, slot)) for slot in range(SLOTS)]
        for slot, (u, v) in enumerate(pairs):
            memory.store(out, slot, emit(b, u, v))

    return function


def _squares(b: Any, args: Any) -> None:
    """out = x^(2^count), in registers."""
    base, out, x, count = args
    memory = _Memory(b, base)
    start = [limb for slot in range(SLOTS) for limb in memory.load(x, slot)]

    def body(_index: Any, limbs: list[Any]) -> list[Any]:
        elements = [limbs[s * LIMBS : (s + 1) * LIMBS] for s in range(SLOTS)]
        columns = [_field.power(b, element) for element in elements]
        return [limb for column in columns for limb in _field.carry(b, column)]

    limbs = _repeat(b, count, start, body)
    for slot in range(SLOTS):
        memory.store(out, slot, limbs[slot * LIMBS : (slot + 1) * LIMBS])


def _freeze(b: Any, args: Any) -> None:
    """out = x, reduced to the one representative below p."""
    base, out, x, _ = args
    memory = _Memory(b, base)
    for slot in range(SLOTS):
        memory.store(out, slot, _field.freeze(b, memory.load(x, slot)))


def _guard(b: Any, args: Any) -> None:
    """Before x / y: where y is zero, both become such that the quotient is 0 / 1."""
    base, x, y, _ = args
    memory = _Memory(b, base)
    for slot in range(SLOTS):
        divisor = memory.load(y, slot)
        joined = _field.constant(0)
        for limb in _field.freeze(b, divisor):
            joined = b.or_(joined, limb)
        mask = _field.ones_where_nonzero(b, joined)
        memory.store(x, slot, [b.and_(limb, mask) for limb in memory.load(x, slot)])
        one = [_field.constant(int(limb == 0)) for limb in range(LIMBS)]
        memory.store(y, slot, _field.select(b, mask, divisor, one))


def _choose(b: Any, args: Any) -> None:
    """out = x where the Legendre symbol in row `by` is 0 or 1, else out stays."""
    base, out, x, by = args
    memory = _Memory(b, base)
    for slot in range(SLOTS):
        # of 0, 1 and p - 1 only the last has a second limb
        minus = _field.ones_where_nonzero(b, _field.freeze(b, memory.load(by, slot))[1])
        chosen = _field.select(b, minus, memory.load(out, slot), memory.load(x, slot))
        memory.store(out, slot, chosen)


def _copy(b: Any, args: Any) -> None:
    base, out, x, _ = args
    memory = _Memory(b, base)
    for slot in range(SLOTS):
        memory.store(out, slot, memory.load(x, slot))


def _constant(b: Any, args: Any) -> None:
    base, out, value, _ = args
    memory = _Memory(b, base)
    zeros = [_field.constant(0)] * (LIMBS - 1)
    for slot in range(SLOTS):
        memory.store(out, slot, [splat(b, LANES, value), *zeros])


_OPERATIONS: dict[str, Callable[[Any, Any], None]] = {
    "multiply": _binary(_field.multiply),
    "add": _binary(_field.add),
    "subtract": _binary(_field.subtract),
    "squares": _squares,
    "freeze": _freeze,
    "guard": _guard,
    "choose": _choose,
    "copy": _copy,
    "constant": _constant,
}


def _aligned(context: Any, b: Any, kind: Any, value: Any) -> Any:
    """The workspace's data, which its maker aligned."""
    return b.bitcast(context.make_array(kind)(context, b, value).data, I64.as_pointer())


def field_program(name: str, *steps: Operation) -> Any:
    """A numba function `(workspace, a, b, c)` that runs `steps` on rows of the workspace.

    A step is (operation, three rows or numbers); "a", "b" and "c" stand for the arguments.
    Operations: multiply, add, subtract (out, x, y); squares (out, x, how often); freeze
    (out, x); guard (x, y): before a quotient; choose (out, x, by); copy (out, x);
    constant (out, number below 2^25).
    """

    def emit(b: Any, args: Any) -> None:
        given = dict(zip("abc", args[1:], strict=True))
        for operation, *rows in steps:
            values = [given[row] if row in given else ir.Constant(I64, row) for row in rows]
            values += [ir.Constant(I64, 0)] * (3 - len(values))
            called = _function(b.module, operation, _OPERATIONS[operation], 3)
            b.call(called, [args[0], *values])

    @intrinsic
    def program(_context: Any, work: Any, _a: Any, _b: Any, _c: Any) -> Any:
        def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
            function = _function(b.module, name, emit, 3)
            b.call(function, [_aligned(context, b, work, args[0]), *args[1:]])
            return context.get_dummy_value()

        return types.void(work, types.int64, types.int64, types.int64), generate

    return program


def _ladder_body(b: Any, args: Any) -> None:
    base, masks, x, z, row = args
    memory, wanted = _Memory(b, base), _Memory(b, b.inttoptr(masks, I64.as_pointer()))

    for slot in range(SLOTS):
        point = memory.load(row, slot)

        def mask(step: Any, slot: int = slot) -> Any:
            place = b.add(b.mul(step, ir.Constant(I64, SLOTS)), ir.Constant(I64, slot))
            return b.load(b.gep(wanted.base, [place]), align=_ALIGN)

        found_x, found_z = emit_ladder(_field, b, _repeat, point, mask, BITS)
        memory.store(x, slot, found_x)
        memory.store(z, slot, found_z)


@intrinsic
def _ladder(_context: Any, work: Any, masks: Any, _x: Any, _z: Any, _row: Any) -> Any:
    """Rows x, z = the scalars behind `masks` times the points of `row`.

    `masks: uint64[(BITS + 1) · BLOCK]`: all ones or zero, whether to exchange before each step
    and after the last.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        function = _function(b.module, "ladder", _ladder_body, 4)
        pointer = b.ptrtoint(_aligned(context, b, masks, args[1]), I64)
        b.call(function, [_aligned(context, b, work, args[0]), pointer, *args[2:]])
        return context.get_dummy_value()

    return types.void(work, masks, types.int64, types.int64, types.int64), generate


ladder: Any = _ladder
