"""One step down a tree as LLVM code: some nodes become their left and right children."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.aes import KEY_WORDS, emit_encrypt
from psi.kernels.simd import block_path

__all__ = ["GROUP", "step_group", "step_one"]

_I64 = ir.IntType(64)
_WORDS = 8 if block_path() == "vaes" else 2
_VECTORS = 4
GROUP = _VECTORS * _WORDS // 2
"""Nodes that `step_group` takes."""


def _step(words: int, vectors: int) -> Any:
    """An intrinsic for `vectors` vectors of `words` 64-bit words each.

    It writes the left children over the nodes and the right ones `half` nodes further, and adds
    their sums to `total: uint64[16]`, left in its first half, in `words` pieces.
    """
    kind = ir.VectorType(_I64, words)

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        def words_of(i: int) -> Any:
            return context.make_array(signature.args[i])(context, b, args[i]).data

        def place(base: Any, index: Any) -> Any:
            return b.bitcast(b.gep(base, [index]), kind.as_pointer())

        nodes, total = words_of(0), words_of(5)
        start = b.mul(args[1], ir.Constant(_I64, 2))
        across = b.add(start, b.mul(args[2], ir.Constant(_I64, 2)))
        tree = b.mul(args[4], ir.Constant(_I64, 2 * KEY_WORDS))
        left = b.gep(words_of(3), [tree])
        right = b.gep(left, [ir.Constant(_I64, KEY_WORDS)])
        steps = [ir.Constant(_I64, i * words) for i in range(vectors)]
        old = [b.load(place(nodes, b.add(start, step)), align=8) for step in steps]
        new = emit_encrypt(b, old + old, [left] * vectors + [right] * vectors)
        new = [b.xor(x, y) for x, y in zip(new, old + old, strict=True)]
        for side, origin in enumerate((start, across)):
            at = place(total, ir.Constant(_I64, 8 * side))
            added = b.load(at, align=8)
            for step, child in zip(steps, new[side * vectors :], strict=False):
                b.store(child, place(nodes, b.add(origin, step)), align=8)
                added = b.xor(added, child)
            b.store(added, at, align=8)
        return context.get_dummy_value()

    @intrinsic
    def step(
        _context: Any, nodes: Any, _first: Any, _half: Any, keys: Any, _tree: Any, total: Any
    ) -> Any:
        number = types.int64
        return types.void(nodes, number, number, keys, number, total), generate

    return step


step_group: Any = _step(_WORDS, _VECTORS)
step_one: Any = _step(2, 1)
