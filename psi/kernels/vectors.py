"""LLVM vectors of 64-bit numbers, for kernels that numba's own types cannot express.

The functions take an `llvmlite` builder and emit instructions; they run while a kernel compiles.
LLVM splits a vector that is wider than the CPU's registers, so any lane count is correct
anywhere; only `madd52` needs AVX-512 IFMA.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

__all__ = ["I64", "add_all", "constant", "madd52", "select", "splat", "subtract_all", "vector"]

I64 = ir.IntType(64)


def vector(lanes: int) -> Any:
    """The type of `lanes` 64-bit numbers; a plain register for one lane."""
    return I64 if lanes == 1 else ir.VectorType(I64, lanes)


def constant(lanes: int, value: int) -> Any:
    """The same number in every lane."""
    return ir.Constant(vector(lanes), value if lanes == 1 else [value] * lanes)


def splat(b: Any, lanes: int, value: Any) -> Any:
    """A 64-bit register in every lane."""
    if lanes == 1:
        return value
    none, index = ir.Constant(vector(lanes), ir.Undefined), ir.IntType(32)
    one = b.insert_element(none, value, ir.Constant(index, 0))
    return b.shuffle_vector(one, none, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def select(b: Any, mask: Any, yes: Any, no: Any) -> Any:
    """`yes` where the mask's bits are set, else `no`: no branch."""
    return b.xor(no, b.and_(b.xor(yes, no), mask))


def madd52(b: Any, half: str, total: Any, x: Any, y: Any) -> Any:
    """`total` + the low ("l") or high ("h") 52 bits of the product of two 52-bit numbers."""
    name, kind = f"llvm.x86.avx512.vpmadd52{half}.uq.512", vector(8)
    found = b.module.globals.get(name)
    found = found or ir.Function(b.module, ir.FunctionType(kind, [kind] * 3), name)
    return b.call(found, [total, x, y])


def add_all(b: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    """Limb by limb."""
    return [b.add(u, v) for u, v in zip(x, y, strict=True)]


def subtract_all(b: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    """Limb by limb."""
    return [b.sub(u, v) for u, v in zip(x, y, strict=True)]
