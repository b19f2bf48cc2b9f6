"""Words at any place of a buffer, and products of two 64-bit words, inside kernels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["high_product", "load32", "load64", "prefetch", "store64"]

_I32, _I64, _I128 = ir.IntType(32), ir.IntType(64), ir.IntType(128)


def _loader(word: Any, kind: Any) -> Any:
    """A word from byte `place` of `data: uint8[]`, little endian: the caller's bounds."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        base = context.make_array(signature.args[0])(context, b, args[0]).data
        at = b.bitcast(b.gep(base, [args[1]]), word.as_pointer())
        return b.load(at, align=1)

    @intrinsic
    def load(_context: Any, data: Any, _place: Any) -> Any:
        return kind(data, types.int64), generate

    return load


@intrinsic
def _store64(_context: Any, data: Any, _place: Any, _word: Any) -> Any:
    """A word to byte `place` of `data: uint8[]`, little endian: the caller's bounds."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        base = context.make_array(signature.args[0])(context, b, args[0]).data
        b.store(args[2], b.bitcast(b.gep(base, [args[1]]), _I64.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


@intrinsic
def _high_product(_context: Any, _x: Any, _y: Any) -> Any:
    """The high 64 bits of the product of two 64-bit numbers."""

    def generate(_inner: Any, b: Any, _signature: Any, args: Any) -> Any:
        x, y = (b.zext(value, _I128) for value in args)
        return b.trunc(b.lshr(b.mul(x, y), ir.Constant(_I128, 64)), _I64)

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _prefetch(_context: Any, data: Any, _place: Any) -> Any:
    """Ask for the cache line of `data[place]`, whichever place that is."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        byte, name = ir.IntType(8).as_pointer(), "llvm.prefetch.p0"
        function = b.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
            function = ir.Function(b.module, kind, name)
        base = context.make_array(signature.args[0])(context, b, args[0]).data
        at = b.bitcast(b.gep(base, [args[1]]), byte)
        to_read, keep, data_cache = (ir.Constant(_I32, value) for value in (0, 3, 1))
        b.call(function, [at, to_read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(data, types.int64), generate


load32: Any = _loader(_I32, types.uint32)
load64: Any = _loader(_I64, types.uint64)
high_product: Any = _high_product
prefetch: Any = _prefetch
store64: Any = _store64
