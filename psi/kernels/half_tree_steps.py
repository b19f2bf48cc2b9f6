"""Steps of half-trees as LLVM code: a node's two children, a leaf's lanes.

`PACK` trees are worked on side by side: node j of tree t of a pack is block j * PACK + t, so one
step loads whole vectors. H(x) = E(key, s(x)) + s(x) with s(x0, x1) = (x0 + x1, x0), addition
being that of GF(2)^64, E AES-128 under a public key.

Source: Guo et al. 2022 (eprint 2022/1431), half-trees; Guo et al. 2019 (eprint 2019/074), H.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels.aes import KEY_WORDS, emit_encrypt
from psi.kernels.simd import block_path

__all__ = [
    "PACK",
    "PIECES",
    "grow_both",
    "grow_left",
    "spread16",
    "spread32",
    "spread64",
    "weigh",
]

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS = 8 if block_path() == "vaes" else 2
_VECTORS = 4 if block_path() == "vaes" else 8
_KIND = ir.VectorType(_I64, _WORDS)
PACK = _VECTORS * _WORDS // 2
"""Trees side by side."""
PIECES = _WORDS // 2
"""Blocks of a vector: a sum over rows is kept in so many pieces."""


def _swapped(b: Any, x: Any) -> Any:
    """s(x) of every block."""
    index = ir.Constant(ir.VectorType(_I32, _WORDS), [i ^ 1 for i in range(_WORDS)])
    other = b.shuffle_vector(x, ir.Constant(_KIND, ir.Undefined), index)
    return b.xor(other, b.and_(x, _even()))


def _even() -> Any:
    return ir.Constant(_KIND, [-1 if i % 2 == 0 else 0 for i in range(_WORDS)])


def _hash(b: Any, nodes: list[Any], key: Any) -> list[Any]:
    turned = [_swapped(b, x) for x in nodes]
    found = emit_encrypt(b, turned, [key] * len(turned))
    return [b.xor(x, y) for x, y in zip(found, turned, strict=True)]


class _Places:
    """Addresses of vectors in the arrays of a call."""

    def __init__(self, context: Any, b: Any, signature: Any, args: Any) -> None:
        self._context, self._b, self._signature, self._args = context, b, signature, args

    def data(self, i: int) -> Any:
        array = self._context.make_array(self._signature.args[i])
        return array(self._context, self._b, self._args[i]).data

    def at(self, base: Any, words: Any) -> Any:
        return self._b.bitcast(self._b.gep(base, [words]), _KIND.as_pointer())

    def pack(self, number: Any) -> Any:
        """The first word of a node of the pack."""
        return self._b.mul(number, ir.Constant(_I64, 2 * PACK))

    def key(self, i: int, number: Any) -> Any:
        offset = self._b.mul(number, ir.Constant(_I64, KEY_WORDS))
        return self._b.gep(self.data(i), [offset])


_STEPS = [ir.Constant(_I64, i * _WORDS) for i in range(_VECTORS)]


def _grow(both: bool) -> Any:
    """Node `first` of every tree becomes its first child; `half` nodes on, its second one.

    The first is the left one, or the right one where `turned: uint64[2 * PACK]` has ones. First
    children, with `both` second ones too, are added to `sums: uint64[4 * PACK]`.
    """

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        places = _Places(context, b, signature, args)
        nodes, turned, sums = places.data(0), places.data(5), places.data(6)
        start = places.pack(args[1])
        across = b.add(start, places.pack(args[2]))
        old = [b.load(places.at(nodes, b.add(start, s)), align=8) for s in _STEPS]
        left = _hash(b, old, places.key(3, args[4]))
        # right = old + left, so the first child is left + turned·old
        masks = [b.load(places.at(turned, s), align=8) for s in _STEPS]
        first = [b.xor(x, b.and_(y, m)) for x, y, m in zip(left, old, masks, strict=True)]
        second = [b.xor(x, y) for x, y in zip(old, first, strict=True)]
        for side, (origin, new) in enumerate(((start, first), (across, second))):
            for s, x in zip(_STEPS, new, strict=True):
                b.store(x, places.at(nodes, b.add(origin, s)), align=8)
                if both or side == 0:
                    at = places.at(sums, b.add(ir.Constant(_I64, side * 2 * PACK), s))
                    b.store(b.xor(b.load(at, align=8), x), at, align=8)
        return context.get_dummy_value()

    @intrinsic
    def step(
        _context: Any,
        nodes: Any,
        _first: Any,
        _half: Any,
        keys: Any,
        _key: Any,
        turned: Any,
        sums: Any,
    ) -> Any:
        n = types.int64
        return types.void(nodes, n, n, keys, n, turned, sums), generate

    return step


grow_left: Any = _grow(False)
grow_both: Any = _grow(True)


def _spread(bits: int) -> Any:
    """Lanes of leaf `leaf` of every tree of the pack, from block `key` of its batch.

    They are added to `rows`, a tree each, in row `row`; over the trees to `sums` at vector `at`.
    """
    lanes = ir.VectorType(ir.IntType(bits), _WORDS * 64 // bits)

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        places = _Places(context, b, signature, args)
        nodes, sums, rows = places.data(0), places.data(4), places.data(6)
        start = places.pack(args[1])
        old = [b.load(places.at(nodes, b.add(start, s)), align=8) for s in _STEPS]
        found = [b.bitcast(x, lanes) for x in _hash(b, old, places.key(2, args[3]))]

        def added(at: Any, x: Any) -> None:
            at = b.bitcast(at, lanes.as_pointer())
            b.store(b.add(b.load(at, align=8), x), at, align=8)

        total = found
        while len(total) > 1:
            total = [b.add(x, y) for x, y in zip(total[::2], total[1::2], strict=True)]
        added(places.at(sums, b.mul(args[5], ir.Constant(_I64, _WORDS))), total[0])
        row = places.pack(args[7])
        for s, x in zip(_STEPS, found, strict=True):
            added(places.at(rows, b.add(row, s)), x)
        return context.get_dummy_value()

    @intrinsic
    def step(
        _context: Any,
        nodes: Any,
        _leaf: Any,
        keys: Any,
        _key: Any,
        sums: Any,
        _at: Any,
        rows: Any,
        _row: Any,
    ) -> Any:
        n = types.int64
        return types.void(nodes, n, keys, n, sums, n, rows, n), generate

    return step


spread16: Any = _spread(16)
spread32: Any = _spread(32)
spread64: Any = _spread(64)


def _weigh() -> Any:
    """Both 64-bit lanes of leaf `leaf` of every tree, from block `key` of its batch.

    They are added to `rows`, and times `g0` and `g1` to `weighted`, a tree each, in row `row`.
    """

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        places = _Places(context, b, signature, args)
        nodes, rows, weighted = places.data(0), places.data(4), places.data(5)
        start = places.pack(args[1])
        old = [b.load(places.at(nodes, b.add(start, s)), align=8) for s in _STEPS]
        found = _hash(b, old, places.key(2, args[3]))
        weights = ir.Constant(_KIND, ir.Undefined)
        for i in range(_WORDS):
            weights = b.insert_element(weights, args[7 + i % 2], ir.Constant(_I32, i))
        row = places.pack(args[6])
        for s, x in zip(_STEPS, found, strict=True):
            at = places.at(rows, b.add(row, s))
            b.store(b.add(b.load(at, align=8), x), at, align=8)
            at = places.at(weighted, b.add(row, s))
            b.store(b.add(b.load(at, align=8), b.mul(x, weights)), at, align=8)
        return context.get_dummy_value()

    @intrinsic
    def step(
        _context: Any,
        nodes: Any,
        _leaf: Any,
        keys: Any,
        _key: Any,
        rows: Any,
        _weighted: Any,
        _row: Any,
        _g0: Any,
        _g1: Any,
    ) -> Any:
        n = types.int64
        return types.void(nodes, n, keys, n, rows, rows, n, n, n), generate

    return step


weigh: Any = _weigh()
