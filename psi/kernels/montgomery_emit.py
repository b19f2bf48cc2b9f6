"""What the generators of the lanes' code say in vectors: loads, stores, multiply-adds, loops.

They take an `llvmlite` builder and emit instructions while a kernel compiles. A row of eight words
holds one limb of eight numbers side by side. An emitter works on whole rows, or on a
part of each that fills one register: what a loop holds then stays in registers, of which a CPU
with AVX2 has sixteen, of four lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import extending

from psi.kernels.multipliers import LANES, Doubles, Fused52, Multiplier, declare
from psi.kernels.simd import kernel_path

__all__ = [
    "INDEX",
    "LANES",
    "LIMB_BITS",
    "LIMB_MASK",
    "SEPARATE",
    "VECTOR",
    "WORD",
    "Emitter",
    "intrinsic",
    "loop",
]

_MULTIPLIER = Fused52 if kernel_path() == "wide" else Doubles

LIMB_BITS = _MULTIPLIER.bits
SEPARATE = _MULTIPLIER.separate
LIMB_MASK = (1 << LIMB_BITS) - 1

# typed as what calls look like inside compiled code
intrinsic: Any = extending.intrinsic

WORD = ir.IntType(64)
INDEX = ir.IntType(32)
VECTOR = ir.VectorType(WORD, LANES)


class Emitter:
    """What the row generators say in vectors: loads, stores, multiply-adds.

    A factor is a limb in the form that multiplies. Accumulators are signed. Pointers are to rows;
    with `part`, loads and stores are of that register's share of them.
    """

    def __init__(
        self, context: Any, builder: Any, signature: Any, args: Any, part: int | None = None
    ) -> None:
        self.context, self.builder = context, builder
        self.signature, self.args = signature, args
        self._part, self._lanes = part, LANES if part is None else _MULTIPLIER.register
        self._vector = ir.VectorType(WORD, self._lanes)
        self.multiplier: Multiplier = _MULTIPLIER(builder, self._lanes)
        self.zero = self.constant(0)

    @classmethod
    def parts(cls, context: Any, builder: Any, signature: Any, args: Any) -> list[Emitter]:
        """One emitter for each register that a row takes."""
        registers = range(LANES // _MULTIPLIER.register)
        return [cls(context, builder, signature, args, part) for part in registers]

    def constant(self, value: int) -> Any:
        """One number in all lanes."""
        return ir.Constant(self._vector, [value] * self._lanes)

    def declare(self, name: str, function_type: ir.FunctionType) -> Any:
        return declare(self.builder, name, function_type)

    def factor(self, limb: Any) -> Any:
        """A limb, ready to multiply."""
        return self.multiplier.factor(limb)

    def keep(self, factor: Any, pointer: Any, index: Any) -> None:
        """Store a factor, for `kept`."""
        self.store(self.multiplier.kept(factor), pointer, index)

    def kept(self, pointer: Any, index: Any) -> Any:
        """A factor that was kept; where factors are limbs, any limb."""
        return self.multiplier.loaded(self.load(pointer, index))

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        """acc + (x y mod 2^b), up to a multiple of 2^b that `high` makes good."""
        return self.multiplier.low(acc, x, y)

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        """acc + floor(x y / 2^b), or the next integer."""
        return self.multiplier.high(acc, x, y)

    def both(self, low: Any, high: Any, terms: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        """Both parts of all products x y, added to `low` and to `high`."""
        return self.multiplier.both(low, high, terms)

    def digit(self, value: Any, y: Any) -> Any:
        """value y mod 2^b for any integer vector: the quotient's next digit, as a limb."""
        masked = self.builder.and_(value, self.constant(LIMB_MASK))
        product = self.low(self.zero, self.factor(masked), y)
        return self.builder.and_(product, self.constant(LIMB_MASK))

    def over(self, total: Any) -> Any:
        """What a signed limb carries on."""
        return self.builder.ashr(total, self.constant(LIMB_BITS))

    def vectors(self, position: int) -> Any:
        """Pointer to the rows of an array argument."""
        return self.builder.bitcast(self._data(position), VECTOR.as_pointer())

    def scalars(self, position: int) -> Any:
        """Pointer to the words of an array argument."""
        return self._data(position)

    def _data(self, position: int) -> Any:
        array = self.context.make_array(self.signature.args[position])
        return array(self.context, self.builder, self.args[position]).data

    def at(self, index: Any, step: int = 0) -> Any:
        """index + step."""
        return self.builder.add(index, ir.Constant(WORD, step)) if step else index

    def load(self, pointer: Any, index: Any) -> Any:
        """One vector."""
        return self.builder.load(self._place(pointer, index), align=8)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """One vector."""
        self.builder.store(value, self._place(pointer, index), align=8)

    def _place(self, pointer: Any, index: Any) -> Any:
        row = self.builder.gep(pointer, [index])
        if self._part is None:
            return row
        parts = self.builder.bitcast(row, self._vector.as_pointer())
        return self.builder.gep(parts, [ir.Constant(WORD, self._part)])

    def splat(self, word: Any) -> Any:
        """One word in all lanes."""
        undefined = ir.Constant(self._vector, ir.Undefined)
        one = self.builder.insert_element(undefined, word, ir.Constant(INDEX, 0))
        mask = ir.Constant(ir.VectorType(INDEX, self._lanes), [0] * self._lanes)
        return self.builder.shuffle_vector(one, undefined, mask)

    def broadcast(self, pointer: Any, index: Any) -> Any:
        """A word of memory in all lanes."""
        return self.splat(self.builder.load(self.builder.gep(pointer, [index])))


def loop(
    builder: Any,
    start: Any,
    stop: Any,
    held: list[Any],
    body: Callable[..., list[Any]],
    step: int = 1,
    *,
    empty: bool = False,
) -> list[Any]:
    """for index in range(start, stop, step): held = body(index, *held).

    The body runs once at least, unless the range may be `empty`.
    """
    entry, function = builder.block, builder.function
    inside, done = function.append_basic_block("loop"), function.append_basic_block("end")
    if empty:
        builder.cbranch(builder.icmp_signed("<", start, stop), inside, done)
    else:
        builder.branch(inside)
    builder.position_at_end(inside)
    index = builder.phi(WORD)
    index.add_incoming(start, entry)
    phis = [builder.phi(value.type) for value in held]
    for phi, value in zip(phis, held, strict=True):
        phi.add_incoming(value, entry)
    results = body(index, *phis)
    after = builder.add(index, ir.Constant(WORD, step))
    last = builder.block  # the body may have loops of its own
    index.add_incoming(after, last)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, last)
    builder.cbranch(builder.icmp_signed("<", after, stop), inside, done)
    builder.position_at_end(done)
    if not empty:
        return results
    ends = [builder.phi(value.type) for value in held]
    for end, before, value in zip(ends, held, results, strict=True):
        end.add_incoming(before, entry)
        end.add_incoming(value, last)
    return ends
