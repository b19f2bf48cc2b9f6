"""Eight products of limbs at once: by IFMA, or by doubles where a CPU has none.

A product x y = h 2^b + l of limbs of b bits is added in two parts. IFMA has an instruction for
each and b = 52. Elsewhere doubles do it exactly, with b = 50: fma(x, y, 2^102) rounds to a multiple
of 2^50, which its low mantissa bits count as h; then fma(x, y, 2^102 - that) is the rest l, of
which |l| is at most 2^49, so that it may be negative and h one more than the quotient.

Fifty bits, not fifty-two, so that up to four products share their sums: the first fma of a product
adds to the one before, the rest to the rests before, around 3/2 2^52, and both stay within the
range of doubles in which the last mantissa bit counts 2^50 and 1. Bits are read as integers once.

Source of the products by doubles: Emmart, Zheng and Weems, "Faster modular exponentiation using
double precision floating point arithmetic on the GPU" (ARITH 2018); there with rounding towards
zero, here to the nearest, which is what CPUs do unasked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from llvmlite import ir

from psi.kernels.vectors import constant, vector

__all__ = ["LANES", "Doubles", "Fused52", "Multiplier", "declare"]

LANES = 8
Terms = Sequence[tuple[Any, Any]]


class Multiplier(Protocol):
    """Multiply-adds of limbs of `bits` bits; `register` is the lanes of one register of the CPU.

    A factor is what multiplies; where it is `separate` from the limb, it is worth keeping.
    """

    bits: int
    register: int
    separate: bool

    def factor(self, limb: Any) -> Any: ...

    def kept(self, factor: Any) -> Any:
        """A factor as integers, to store."""
        ...

    def loaded(self, kept: Any) -> Any:
        """The factor again."""
        ...

    def low(self, acc: Any, x: Any, y: Any) -> Any: ...

    def high(self, acc: Any, x: Any, y: Any) -> Any: ...

    def both(self, low: Any, high: Any, terms: Terms) -> tuple[Any, Any]:
        """Both parts of all products, the low ones added to `low`, the high ones to `high`."""
        ...


def declare(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    """A function of the module, declared once."""
    found = builder.module.globals.get(name)
    return found or ir.Function(builder.module, kind, name)


class Fused52:
    """AVX-512 IFMA: a factor is the limb."""

    bits = 52
    register = LANES
    separate = False

    def __init__(self, builder: Any, lanes: int = LANES) -> None:
        self._builder = builder
        kind = ir.FunctionType(vector(lanes), [vector(lanes)] * 3)
        self._low, self._high = (
            declare(builder, f"llvm.x86.avx512.vpmadd52{part}.uq.512", kind) for part in "lh"
        )

    def factor(self, limb: Any) -> Any:
        return limb

    kept = loaded = factor

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        return self._builder.call(self._low, [acc, x, y])

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        return self._builder.call(self._high, [acc, x, y])

    def both(self, low: Any, high: Any, terms: Terms) -> tuple[Any, Any]:
        for x, y in terms:
            low, high = self.low(low, x, y), self.high(high, x, y)
        return low, high


class Doubles:
    """Fused multiply-adds of doubles: a factor is the limb as a double."""

    bits = 50
    register = 4
    separate = True

    # products whose sums fit: of h below 2^52, and of l below 2^51 in magnitude
    _CHAIN = 4
    # doubles whose last mantissa bit counts 2^50, 1 and 1, and the bits that stand for zero
    _TOP = 2.0**102
    _UNIT = 2.0**52
    _MIDDLE = 1.5 * 2.0**52
    _TOP_BITS = (1023 + 102) << 52
    _UNIT_BITS = (1023 + 52) << 52
    _MIDDLE_BITS = _UNIT_BITS + (1 << 51)

    def __init__(self, builder: Any, lanes: int = LANES) -> None:
        self._builder, self._lanes = builder, lanes
        self._bits, self._doubles = vector(lanes), ir.VectorType(ir.DoubleType(), lanes)
        kind = ir.FunctionType(self._doubles, [self._doubles] * 3)
        self._function = declare(builder, f"llvm.fma.v{lanes}f64", kind)

    def _number(self, value: float) -> Any:
        return ir.Constant(self._doubles, [value] * self._lanes)

    def _fma(self, x: Any, y: Any, z: Any) -> Any:
        return self._builder.call(self._function, [x, y, z])

    def _read(self, value: Any, zero: int) -> Any:
        """The integer in a double's bits."""
        bits = self._builder.bitcast(value, self._bits)
        return self._builder.sub(bits, constant(self._lanes, zero))

    def factor(self, limb: Any) -> Any:
        b = self._builder
        bits = b.or_(limb, constant(self._lanes, self._UNIT_BITS))
        return b.fsub(b.bitcast(bits, self._doubles), self._number(self._UNIT))

    def kept(self, factor: Any) -> Any:
        return self._builder.bitcast(factor, self._bits)

    def loaded(self, kept: Any) -> Any:
        return self._builder.bitcast(kept, self._doubles)

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        top = self._fma(x, y, self._number(self._TOP))
        rest = self._builder.fsub(self._number(self._TOP + self._MIDDLE), top)
        return self._builder.add(acc, self._read(self._fma(x, y, rest), self._MIDDLE_BITS))

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        top = self._fma(x, y, self._number(self._TOP))
        return self._builder.add(acc, self._read(top, self._TOP_BITS))

    def both(self, low: Any, high: Any, terms: Terms) -> tuple[Any, Any]:
        chains = -(-len(terms) // self._CHAIN)
        size = -(-len(terms) // chains)
        for first in range(0, len(terms), size):
            top, bottom = self._chain(terms[first : first + size])
            low = self._builder.add(low, self._read(bottom, self._MIDDLE_BITS))
            high = self._builder.add(high, self._read(top, self._TOP_BITS))
        return low, high

    def _chain(self, terms: Terms) -> tuple[Any, Any]:
        """2^102 + 2^50 times the sum of all h, and 3/2 2^52 plus that of all l."""
        b = self._builder
        (x, y), *rest = terms
        top = self._fma(x, y, self._number(self._TOP))
        bottom = self._fma(x, y, b.fsub(self._number(self._TOP + self._MIDDLE), top))
        for x, y in rest:
            above = self._fma(x, y, top)
            bottom = b.fadd(bottom, self._fma(x, y, b.fsub(top, above)))
            top = above
        return top, bottom
