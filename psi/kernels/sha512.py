"""SHA-512's compression (FIPS 180-4) of several messages at once, as LLVM instructions."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.simd import cpu_features
from psi.kernels.vectors import I64, constant, select, splat, vector

__all__ = ["INITIAL", "STREAMS", "compress"]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, degree: int) -> int:
    """The first 64 bits of the fraction of a number's square or cube root."""
    target = number << (64 * degree)
    low, high = 0, 1 << 80
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= target else (low, middle)
    return low & (2**64 - 1)


def _streams() -> int:
    features = cpu_features()
    return 8 if "avx512f" in features else 4 if "avx2" in features else 1


STREAMS = _streams()
"""Messages hashed at once, a lane each."""
INITIAL = np.array([_root(prime, 2) for prime in _primes(8)], np.uint64)
_ROUNDS = [_root(prime, 3) for prime in _primes(80)]
_TYPE = vector(STREAMS)
_ALIGN = 8


def _rotate(b: Any, x: Any, n: int) -> Any:
    return b.or_(b.lshr(x, constant(STREAMS, n)), b.shl(x, constant(STREAMS, 64 - n)))


def _sigma(b: Any, x: Any, first: int, second: int, third: int, *, shift: bool = False) -> Any:
    last = b.lshr(x, constant(STREAMS, third)) if shift else _rotate(b, x, third)
    return b.xor(b.xor(_rotate(b, x, first), _rotate(b, x, second)), last)


def _round(b: Any, state: list[Any], word: Any, k: Any) -> list[Any]:
    a, bb, c, d, e, f, g, h = state
    chosen = select(b, e, f, g)
    t1 = b.add(b.add(h, b.add(word, k)), b.add(_sigma(b, e, 14, 18, 41), chosen))
    majority = select(b, b.xor(a, bb), c, bb)
    t2 = b.add(_sigma(b, a, 28, 34, 39), majority)
    return [b.add(t1, t2), a, bb, c, b.add(d, t1), e, f, g]


def _schedule(b: Any, w: list[Any], t: int) -> Any:
    """Word t of the next sixteen; `w` holds those of the last sixteen not yet replaced."""
    low = _sigma(b, w[(t + 1) % 16], 1, 8, 7, shift=True)
    high = _sigma(b, w[(t + 14) % 16], 19, 61, 6, shift=True)
    return b.add(b.add(w[t], low), b.add(w[(t + 9) % 16], high))


def _constants(module: Any) -> Any:
    name = "fedprofile_sha512_rounds"
    if name in module.globals:
        return module.globals[name]
    kind = ir.ArrayType(I64, 80)
    table = ir.GlobalVariable(module, kind, name)
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, _ROUNDS)
    return table


def _emit(b: Any, module: Any, state_at: Any, block_at: Any, left_at: Any) -> None:
    """state = compression of state and block in the lanes that have blocks left."""
    load = [b.load(b.gep(block_at, [ir.Constant(I64, i)]), align=_ALIGN) for i in range(16)]
    first = [b.load(b.gep(state_at, [ir.Constant(I64, i)]), align=_ALIGN) for i in range(8)]
    table = b.bitcast(_constants(module), I64.as_pointer())

    def rounds(start: Any, state: list[Any], w: list[Any], *, expand: bool) -> list[Any]:
        for t in range(16):
            if expand:
                w[t] = _schedule(b, w, t)
            k = b.load(b.gep(table, [b.add(start, ir.Constant(I64, t))]))
            state = _round(b, state, w[t], splat(b, STREAMS, k))
        return state

    state, w = rounds(ir.Constant(I64, 0), first, load, expand=False), load
    before, loop, after = b.block, b.append_basic_block(), b.append_basic_block()
    b.branch(loop)
    b.position_at_end(loop)
    index, phis = b.phi(I64), [b.phi(_TYPE) for _ in range(24)]
    index.add_incoming(ir.Constant(I64, 16), before)
    for phi, value in zip(phis, [*state, *w], strict=True):
        phi.add_incoming(value, before)
    words = list(phis[8:])
    state = rounds(index, list(phis[:8]), words, expand=True)
    following = b.add(index, ir.Constant(I64, 16))
    index.add_incoming(following, loop)
    for phi, value in zip(phis, [*state, *words], strict=True):
        phi.add_incoming(value, loop)
    b.cbranch(b.icmp_unsigned("<", following, ir.Constant(I64, 80)), loop, after)
    b.position_at_end(after)
    left = b.load(left_at, align=_ALIGN)
    sign = b.or_(left, b.sub(constant(STREAMS, 0), left))
    active = b.ashr(sign, constant(STREAMS, 63))
    for i, (old, new) in enumerate(zip(first, state, strict=True)):
        kept = select(b, active, b.add(old, new), old)
        b.store(kept, b.gep(state_at, [ir.Constant(I64, i)]), align=_ALIGN)


@intrinsic
def _compress(_context: Any, state: Any, message: Any, _block: Any, left: Any) -> Any:
    """One block of each lane's message into `state: uint64[8 · STREAMS]`.

    `message: uint64[blocks · 16 · STREAMS]`, lanes side by side; lanes whose number in
    `left: uint64[STREAMS]` is zero keep their state.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        name, pointer = "fedprofile_sha512_compress", _TYPE.as_pointer()
        function = b.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [pointer] * 3)
            function = ir.Function(b.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            function.attributes.alignstack = 64
            builder = ir.IRBuilder(function.append_basic_block())
            _emit(builder, b.module, *function.args)
            builder.ret_void()

        def data(kind: Any, value: Any) -> Any:
            return b.bitcast(context.make_array(kind)(context, b, value).data, pointer)

        start = b.mul(args[2], ir.Constant(I64, 16))
        b.call(
            function,
            [data(state, args[0]), b.gep(data(message, args[1]), [start]), data(left, args[3])],
        )
        return context.get_dummy_value()

    return types.void(state, message, types.int64, left), generate


compress: Any = _compress
