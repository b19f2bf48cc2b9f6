"""Eight products of 52-bit limbs at once: by IFMA, or by doubles where a CPU has none.

A product x y = h 2^52 + l is added in two parts. IFMA has an instruction for each. Elsewhere
doubles do it exactly, with two fused multiply-adds: fma(x, y, 2^104) rounds to a multiple of
2^52, which its low mantissa bits count as h; then fma(x, y, -2^52 h) is the rest l, of which
|l| is at most 2^51, so that it may be negative and h one more than the quotient.

Source of the products by doubles: Emmart, Zheng and Weems, "Faster modular exponentiation using
double precision floating point arithmetic on the GPU" (ARITH 2018); there with rounding towards
zero, here to the nearest, which is what CPUs do unasked.
"""

from __future__ import annotations

from typing import Any, Protocol

from llvmlite import ir

from psi.kernels.vectors import constant, vector

__all__ = ["LANES", "Doubles", "Fused52", "Multiplier", "declare"]

LANES = 8
_VECTOR = vector(LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


class Multiplier(Protocol):
    """Multiply-adds of limbs; see `montgomery_lanes` for how the generators use them."""

    def factor(self, limb: Any) -> Any: ...

    def low(self, acc: Any, x: Any, y: Any) -> Any: ...

    def high(self, acc: Any, x: Any, y: Any) -> Any: ...


def declare(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    """A function of the module, declared once."""
    found = builder.module.globals.get(name)
    return found or ir.Function(builder.module, kind, name)


class Fused52:
    """AVX-512 IFMA: a factor is the limb."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        self._low, self._high = (
            declare(builder, f"llvm.x86.avx512.vpmadd52{part}.uq.512", kind) for part in "lh"
        )

    def factor(self, limb: Any) -> Any:
        return limb

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        return self._builder.call(self._low, [acc, x, y])

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        return self._builder.call(self._high, [acc, x, y])


class Doubles:
    """Fused multiply-adds of doubles: a factor is the limb as a double."""

    # doubles whose last mantissa bit counts 2^52, 1 and 1, and the bits that stand for zero
    _TOP = 2.0**104
    _UNIT = 2.0**52
    _MIDDLE = 1.5 * 2.0**52
    _TOP_BITS = (1023 + 104) << 52
    _UNIT_BITS = (1023 + 52) << 52
    _MIDDLE_BITS = _UNIT_BITS + (1 << 51)

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        kind = ir.FunctionType(_DOUBLES, [_DOUBLES] * 3)
        self._fma = declare(builder, f"llvm.fma.v{LANES}f64", kind)

    def _number(self, value: float) -> Any:
        return ir.Constant(_DOUBLES, [value] * LANES)

    def factor(self, limb: Any) -> Any:
        b = self._builder
        bits = b.or_(limb, constant(LANES, self._UNIT_BITS))
        return b.fsub(b.bitcast(bits, _DOUBLES), self._number(self._UNIT))

    def _rounded(self, x: Any, y: Any) -> Any:
        """2^104 + 2^52 h."""
        return self._builder.call(self._fma, [x, y, self._number(self._TOP)])

    def low(self, acc: Any, x: Any, y: Any) -> Any:
        b = self._builder
        minus = b.fsub(self._number(self._TOP), self._rounded(x, y))
        rest = b.call(self._fma, [x, y, minus])
        bits = b.bitcast(b.fadd(rest, self._number(self._MIDDLE)), _VECTOR)
        return b.add(acc, b.sub(bits, constant(LANES, self._MIDDLE_BITS)))

    def high(self, acc: Any, x: Any, y: Any) -> Any:
        b = self._builder
        bits = b.bitcast(self._rounded(x, y), _VECTOR)
        return b.add(acc, b.sub(bits, constant(LANES, self._TOP_BITS)))
