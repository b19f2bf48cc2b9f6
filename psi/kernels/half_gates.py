"""Products of garbled wires, many at a time: what makes them and what evaluates them.

With H(x, i) = E(y) + y, y = s(x) + i, s(x0, x1) = (x0 + x1, x0), and E AES under a public key, a
product of wires with labels a, b for 0, and colours p, q of these, is

    G = H(a, j) + H(a + Δ, j) + q Δ,    F = H(b, j') + H(b + Δ, j') + a

and has the label H(a, j) + p G + H(b, j') + q (F + a) for 0. Labels are `uint64[n, 2]`.

A chain is what adders and comparisons are made of: c is first 0, and each bit adds the product of
a and b to it, to which c was added before: to b, or to `both`.

Source: S. Zahur, M. Rosulek, D. Evans, "Two halves make a whole", 2015 (eprint 2014/756).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.aes import KEY_WORDS
from psi.kernels.aes_streams import BLOCKS, encrypt_blocks, expand_key
from psi.kernels.cache import kernel, part
from psi.kernels.simd import block_path, readonly

__all__ = ["PER_KEY", "evaluated", "evaluated_chain", "garbled", "garbled_chain"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]

PER_KEY = 1 << 11
"""Products that one public key serves."""
_ONE = np.uint64(1)


@part
def _put(room, at, x0, x1, tweak, half):  # type: ignore[no-untyped-def]
    room[at] = x0 ^ x1 ^ tweak ^ (half << np.uint64(32))
    room[at + 1] = x0


@part
def _garble(a, b, delta, keys, gates, out):  # type: ignore[no-untyped-def]
    n, step = a.shape[0], BLOCKS // 4
    room, made = np.zeros(2 * BLOCKS, np.uint64), np.zeros(2 * BLOCKS, np.uint64)
    words, rounds = np.empty(44, np.uint64), np.empty(KEY_WORDS, np.uint64)
    none, first, second = np.uint64(0), np.uint64(0), np.uint64(1)
    for low in range(0, n, step):
        if low % PER_KEY == 0:
            expand_key(keys[low // PER_KEY], words, rounds)
        many = min(step, n - low)
        for i in range(many):
            j, at, tweak = low + i, 8 * i, np.uint64(low + i)
            _put(room, at, a[j, 0], a[j, 1], tweak, first)
            _put(room, at + 2, a[j, 0] ^ delta[0], a[j, 1] ^ delta[1], tweak, first)
            _put(room, at + 4, b[j, 0], b[j, 1], tweak, second)
            _put(room, at + 6, b[j, 0] ^ delta[0], b[j, 1] ^ delta[1], tweak, second)
        made[:] = room
        encrypt_blocks(made, 0, rounds)
        for i in range(many):
            j, at = low + i, 8 * i
            on_a, on_b = none - (a[j, 0] & _ONE), none - (b[j, 0] & _ONE)
            for w in range(2):
                h0 = made[at + w] ^ room[at + w]
                h1 = made[at + 2 + w] ^ room[at + 2 + w]
                h2 = made[at + 4 + w] ^ room[at + 4 + w]
                h3 = made[at + 6 + w] ^ room[at + 6 + w]
                garbler = h0 ^ h1 ^ (delta[w] & on_b)
                evaluator = h2 ^ h3 ^ a[j, w]
                gates[j, w], gates[n + j, w] = garbler, evaluator
                out[j, w] = h0 ^ (garbler & on_a) ^ h2 ^ ((evaluator ^ a[j, w]) & on_b)


@part
def _evaluate(a, b, keys, gates, out):  # type: ignore[no-untyped-def]
    n, step = a.shape[0], BLOCKS // 2
    room, made = np.zeros(2 * BLOCKS, np.uint64), np.zeros(2 * BLOCKS, np.uint64)
    words, rounds = np.empty(44, np.uint64), np.empty(KEY_WORDS, np.uint64)
    none, first, second = np.uint64(0), np.uint64(0), np.uint64(1)
    for low in range(0, n, step):
        if low % PER_KEY == 0:
            expand_key(keys[low // PER_KEY], words, rounds)
        many = min(step, n - low)
        for i in range(many):
            j, tweak = low + i, np.uint64(low + i)
            _put(room, 4 * i, a[j, 0], a[j, 1], tweak, first)
            _put(room, 4 * i + 2, b[j, 0], b[j, 1], tweak, second)
        made[:] = room
        encrypt_blocks(made, 0, rounds)
        for i in range(many):
            j, at = low + i, 4 * i
            on_a, on_b = none - (a[j, 0] & _ONE), none - (b[j, 0] & _ONE)
            for w in range(2):
                h0 = made[at + w] ^ room[at + w]
                h1 = made[at + 2 + w] ^ room[at + 2 + w]
                out[j, w] = h0 ^ (gates[j, w] & on_a) ^ h1 ^ ((gates[n + j, w] ^ a[j, w]) & on_b)


@part
def _link(first, second, both, bit, out, a, b):  # type: ignore[no-untyped-def]
    """The wires of a bit's product."""
    for j in range(a.shape[0]):
        for w in range(2):
            a[j, w], b[j, w] = first[bit, j, w], second[bit, j, w]
            if bit:
                b[j, w] ^= out[bit - 1, j, w]
                if both:
                    a[j, w] ^= out[bit - 1, j, w]


@part
def _add(bit, out):  # type: ignore[no-untyped-def]
    if bit:
        for j in range(out.shape[1]):
            for w in range(2):
                out[bit, j, w] ^= out[bit - 1, j, w]


@kernel
def _garble_chain(first, second, both, delta, keys, gates, out):  # type: ignore[no-untyped-def]
    a, b = np.empty(out.shape[1:], np.uint64), np.empty(out.shape[1:], np.uint64)
    for bit in range(out.shape[0]):
        _link(first, second, both, bit, out, a, b)
        _garble(a, b, delta, keys[bit], gates[bit], out[bit])
        _add(bit, out)


@kernel
def _evaluate_chain(first, second, both, keys, gates, out):  # type: ignore[no-untyped-def]
    a, b = np.empty(out.shape[1:], np.uint64), np.empty(out.shape[1:], np.uint64)
    for bit in range(out.shape[0]):
        _link(first, second, both, bit, out, a, b)
        _evaluate(a, b, keys[bit], gates[bit], out[bit])
        _add(bit, out)


def _hashed(blocks: Words, keys: Keys) -> Words:
    """H of `uint64[k, n, 2]`, the first half of the k under j, the others under j'."""
    k, n, _ = blocks.shape
    half = np.arange(2, dtype=np.uint64).repeat(k // 2)[:, None] << np.uint64(32)
    turned = np.empty_like(blocks)
    turned[..., 0] = blocks[..., 0] ^ blocks[..., 1] ^ np.arange(n, dtype=np.uint64) ^ half
    turned[..., 1] = blocks[..., 0]
    out = np.empty_like(turned)
    for at, key in enumerate(keys):
        own = np.ascontiguousarray(turned[:, at * PER_KEY : (at + 1) * PER_KEY])
        made = aes.encrypt(key.tobytes(), own.reshape(-1, 2)).reshape(own.shape)
        out[:, at * PER_KEY : (at + 1) * PER_KEY] = made ^ own
    return out


def _on(labels: Words) -> Words:
    return np.asarray(0 - (labels[:, :1] & _ONE), np.uint64)


def garbled(a: Words, b: Words, delta: Words, keys: Keys) -> tuple[Words, Words]:
    """Labels for 0 of the products of wires with labels a, b for 0, and the gates.

    `keys: uint8[k, 16]` are public, one for every `PER_KEY` products. Gates are
    `uint64[2n, 2]`: all G, then all F.
    """
    if block_path() == "portable":
        told = _hashed(np.stack([a, a ^ delta, b, b ^ delta]), keys)
        garbler = told[0] ^ told[1] ^ (delta & _on(b))
        evaluator = told[2] ^ told[3] ^ a
        out = told[0] ^ (garbler & _on(a)) ^ told[2] ^ ((evaluator ^ a) & _on(b))
        return out, np.concatenate([garbler, evaluator])
    found, gates = garbled_chain(a[None], b[None], delta, keys[None], both=False)
    return found[0], gates[0]


def evaluated(a: Words, b: Words, gates: Words, keys: Keys) -> Words:
    """The label of each product, from the one of each wire that is known."""
    if block_path() == "portable":
        told = _hashed(np.stack([a, b]), keys)
        garbler, evaluator = gates[: len(a)], gates[len(a) :]
        return np.asarray(
            told[0] ^ (garbler & _on(a)) ^ told[1] ^ ((evaluator ^ a) & _on(b)), np.uint64
        )
    return np.asarray(evaluated_chain(a[None], b[None], gates[None], keys[None], both=False)[0])


def garbled_chain(
    a: Words, b: Words, delta: Words, keys: Keys, *, both: bool
) -> tuple[Words, Words]:
    """Labels for 0 of a chain after each bit, `uint64[bits, n, 2]`, and its gates `[bits, 2n, 2]`.

    a, b are `uint64[bits, n, 2]`, `keys: uint8[bits, k, 16]`.
    """
    bits, rows, _ = a.shape
    out, gates = np.empty(a.shape, np.uint64), np.empty((bits, 2 * rows, 2), np.uint64)
    if block_path() != "portable":
        _garble_chain(readonly(a), readonly(b), both, readonly(delta), _words(keys), gates, out)
        return out, gates
    last = np.zeros((rows, 2), np.uint64)
    for bit, own in enumerate(keys):
        first = a[bit] ^ last if both else a[bit]
        made, gates[bit] = garbled(first, b[bit] ^ last, delta, own)
        out[bit] = last = made ^ last
    return out, gates


def evaluated_chain(a: Words, b: Words, gates: Words, keys: Keys, *, both: bool) -> Words:
    """The labels of a chain after each bit, from the one of each wire that is known."""
    out = np.empty(a.shape, np.uint64)
    if block_path() != "portable":
        _evaluate_chain(readonly(a), readonly(b), both, _words(keys), readonly(gates), out)
        return out
    last = np.zeros(a.shape[1:], np.uint64)
    for bit, own in enumerate(keys):
        first = a[bit] ^ last if both else a[bit]
        out[bit] = last = evaluated(first, b[bit] ^ last, gates[bit], own) ^ last
    return out


def _words(keys: Keys) -> Words:
    return readonly(np.ascontiguousarray(keys).view("<u8").astype(np.uint64))
