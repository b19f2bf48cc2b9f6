"""BLAKE2s's compression (RFC 7693, section 3.2) of several messages at once, as LLVM code."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.simd import cpu_features

__all__ = ["IV", "LANES", "compress"]


def _lanes() -> int:
    features = cpu_features()
    return 16 if "avx512f" in features else 8 if "avx2" in features else 4


LANES = _lanes()
"""Messages hashed at once, a lane each."""
IV = np.array(
    [
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
    ],
    np.uint32,
)  # fmt: skip
_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_COLUMNS = tuple((i, i + 4, i + 8, i + 12) for i in range(4))
_DIAGONALS = tuple((i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4))
_WORD, _BYTE, _INDEX = ir.IntType(32), ir.IntType(8), ir.IntType(64)
_TYPE = ir.VectorType(_WORD, LANES)
_ALIGN = 4


def _constant(value: int) -> Any:
    return ir.Constant(_TYPE, [value] * LANES)


def _rotate(b: Any, x: Any, n: int) -> Any:
    return b.or_(b.lshr(x, _constant(n)), b.shl(x, _constant(32 - n)))


def _mix(b: Any, v: list[Any], place: tuple[int, ...], x: Any, y: Any) -> None:
    i, j, k, m = place
    v[i] = b.add(b.add(v[i], v[j]), x)
    v[m] = _rotate(b, b.xor(v[m], v[i]), 16)
    v[k] = b.add(v[k], v[m])
    v[j] = _rotate(b, b.xor(v[j], v[k]), 12)
    v[i] = b.add(b.add(v[i], v[j]), y)
    v[m] = _rotate(b, b.xor(v[m], v[i]), 8)
    v[k] = b.add(v[k], v[m])
    v[j] = _rotate(b, b.xor(v[j], v[k]), 7)


def _orders(module: Any) -> Any:
    name = "fedprofile_blake2s_orders"
    if name in module.globals:
        return module.globals[name]
    kind = ir.ArrayType(_BYTE, 160)
    table = ir.GlobalVariable(module, kind, name)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, [place for order in _SIGMA for place in order])
    return table


def _emit(b: Any, state_at: Any, block_at: Any, masks: list[Any]) -> None:
    def at(base: Any, i: int) -> Any:
        return b.gep(base, [ir.Constant(_INDEX, i)])

    old = [b.load(at(state_at, i), align=_ALIGN) for i in range(8)]
    count, final, active = (b.load(mask, align=_ALIGN) for mask in masks)
    v = old + [_constant(int(word)) for word in IV]
    v[12], v[14] = b.xor(v[12], count), b.xor(v[14], final)
    order = b.bitcast(_orders(b.module), _BYTE.as_pointer())

    def word(first: Any, i: int) -> Any:
        place = b.load(b.gep(order, [b.add(first, ir.Constant(_INDEX, i))]))
        return b.load(b.gep(block_at, [b.zext(place, _INDEX)]), align=_ALIGN)

    # a loop, for ten rounds in a row take long to compile and no less to run
    before, loop, after = b.block, b.append_basic_block(), b.append_basic_block()
    b.branch(loop)
    b.position_at_end(loop)
    first, phis = b.phi(_INDEX), [b.phi(_TYPE) for _ in v]
    first.add_incoming(ir.Constant(_INDEX, 0), before)
    for phi, value in zip(phis, v, strict=True):
        phi.add_incoming(value, before)
    v = list(phis)
    for number, place in enumerate(_COLUMNS + _DIAGONALS):
        _mix(b, v, place, word(first, 2 * number), word(first, 2 * number + 1))
    following = b.add(first, ir.Constant(_INDEX, 16))
    first.add_incoming(following, loop)
    for phi, value in zip(phis, v, strict=True):
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_unsigned("<", following, ir.Constant(_INDEX, 160)), loop, after)
    b.position_at_end(after)
    for i in range(8):
        change = b.and_(b.xor(v[i], v[i + 8]), active)
        b.store(b.xor(old[i], change), at(state_at, i), align=_ALIGN)


@intrinsic
def _compress(
    _context: Any, state: Any, message: Any, _block: Any, count: Any, final: Any, active: Any
) -> Any:
    """Block number `block` of each lane's message into `state: uint32[8 · LANES]`.

    `message: uint32[blocks · 16 · LANES]` with the lanes side by side; `count` are the bytes up
    to this block's end, `final` and `active` masks: lanes that are not active keep their state.
    """

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        name, pointer = "fedprofile_blake2s_compress", _TYPE.as_pointer()
        function = b.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [pointer] * 5)
            function = ir.Function(b.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            builder = ir.IRBuilder(function.append_basic_block())
            state_at, block_at, *masks = function.args
            _emit(builder, state_at, block_at, masks)
            builder.ret_void()

        def data(i: int) -> Any:
            array = context.make_array(signature.args[i])(context, b, args[i])
            return b.bitcast(array.data, pointer)

        start = b.mul(args[2], ir.Constant(_INDEX, 16))
        b.call(function, [data(0), b.gep(data(1), [start]), data(3), data(4), data(5)])
        return context.get_dummy_value()

    return types.void(state, message, types.int64, count, final, active), generate


compress: Any = _compress
