"""Many streams of AES-128 in counter mode at once: what `aes.stream` gives for one secret key.

With the CPU's instructions a key costs no more than a few blocks, so that short streams of many
keys cost what their blocks do; OpenSSL takes some fifty microseconds a key. Round keys are made by
the same instruction as rounds: in a block of four equal words the last round without a key puts
each byte through the S-box and its rotation of rows changes nothing. No table is indexed by a
secret. Without AES instructions the streams are OpenSSL's. Source: FIPS 197.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from psi.kernels import aes
from psi.kernels.aes import KEY_WORDS, emit_encrypt
from psi.kernels.cache import kernel, part
from psi.kernels.simd import block_path, readonly, room_for

__all__ = ["BLOCKS", "encrypt_blocks", "expand_key", "expanded_keys", "stream_blocks", "streams"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WIDE = block_path() == "vaes"
_WORDS = 8 if _WIDE else 2
_VECTORS = 8
BLOCKS = _VECTORS * _WORDS // 2
"""Blocks that a step encrypts."""


def _typed_substituted(_context: Any, _word: Any) -> Any:
    """Each byte of a word of 32 bits through the S-box."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(_I64, 2)
        low = b.zext(b.trunc(args[0], _I32), _I64)
        both = b.or_(low, b.shl(low, ir.Constant(_I64, 32)))
        block = ir.Constant(kind, ir.Undefined)
        for i in range(2):
            block = b.insert_element(block, both, ir.Constant(_I32, i))
        name = "llvm.x86.aesni.aesenclast"
        last = b.module.globals.get(name) or ir.Function(
            b.module, ir.FunctionType(kind, [kind, kind]), name
        )
        found = b.call(last, [block, ir.Constant(kind, [0, 0])])
        return b.and_(b.extract_element(found, ir.Constant(_I32, 0)), ir.Constant(_I64, 0xFFFFFFFF))

    return types.uint64(types.uint64), generate


def _typed_swapped(_context: Any, _word: Any) -> Any:
    """The bytes of a word of 64 bits in the other order."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        return b.bswap(args[0])

    return types.uint64(types.uint64), generate


def _typed_encrypt(_context: Any, room: Any, _at: Any, keys: Any) -> Any:
    """`BLOCKS` blocks of `room` from word `at` on, in place, under the round keys `keys`."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(_I64, _WORDS)

        def data(i: int) -> Any:
            return context.make_array(signature.args[i])(context, b, args[i]).data

        places = []
        for v in range(_VECTORS):
            at = b.add(args[1], ir.Constant(_I64, v * _WORDS))
            places.append(b.bitcast(b.gep(data(0), [at]), kind.as_pointer()))
        key = data(2)
        found = emit_encrypt(b, [b.load(p, align=8) for p in places], [key] * _VECTORS)
        for place, x in zip(places, found, strict=True):
            b.store(x, place, align=8)
        return context.get_dummy_value()

    return types.void(room, types.int64, keys), generate


_substituted: Any = intrinsic(_typed_substituted)
_swapped: Any = intrinsic(_typed_swapped)
encrypt_blocks: Any = intrinsic(_typed_encrypt)


@part
def expand_key(key, words, rounds):  # type: ignore[no-untyped-def]
    """Round keys `uint64[22]` of `key: uint64[2]`; `words` is room for 44."""
    mask = np.uint64(0xFFFFFFFF)
    for i in range(2):
        words[2 * i], words[2 * i + 1] = key[i] & mask, key[i] >> np.uint64(32)
    constant = np.uint64(1)
    for i in range(4, 44):
        word = words[i - 1]
        if i % 4 == 0:
            turned = ((word >> np.uint64(8)) | (word << np.uint64(24))) & mask
            word = _substituted(turned) ^ constant
            constant = (constant << np.uint64(1)) ^ (np.uint64(0x11B) * (constant >> np.uint64(7)))
        words[i] = words[i - 4] ^ word
    for i in range(22):
        rounds[i] = words[2 * i] | (words[2 * i + 1] << np.uint64(32))


@kernel
def _expand_rows(keys, out):  # type: ignore[no-untyped-def]
    words = np.empty(44, np.uint64)
    for row in range(keys.shape[0]):
        expand_key(keys[row], words, out[row])
    words[:] = np.uint64(0)


def expanded_keys(keys: Bytes) -> Words:
    """Round keys `uint64[n, 22]` of keys `uint8[n, 16]`. Not on the portable path."""
    out = np.empty((len(keys), KEY_WORDS), np.uint64)
    _expand_rows(readonly(np.ascontiguousarray(keys).view("<u8").astype(np.uint64)), out)
    return out


@part
def stream_blocks(line, steps, start, rounds):  # type: ignore[no-untyped-def]
    """So many times `BLOCKS` blocks of a stream, from block `start` on, under its round keys."""
    for at in range(0, steps * BLOCKS, BLOCKS):
        for j in range(BLOCKS):
            line[2 * (at + j)] = np.uint64(0)
            line[2 * (at + j) + 1] = _swapped(start + np.uint64(at + j))
        encrypt_blocks(line, 2 * at, rounds)


@kernel
def _stream_rows(keys, start, out):  # type: ignore[no-untyped-def]
    words, rounds = np.empty(44, np.uint64), np.empty(KEY_WORDS, np.uint64)
    rest, count = np.empty(2 * BLOCKS, np.uint64), out.shape[1] // 2
    for row in range(out.shape[0]):
        expand_key(keys[row], words, rounds)
        line, at = out[row], np.int64(0)
        stream_blocks(line, count // BLOCKS, start, rounds)
        at += count // BLOCKS * BLOCKS
        stream_blocks(rest, 1, start + np.uint64(at), rounds)
        for j in range(2 * (count - at)):
            line[2 * at + j] = rest[j]
    words[:], rounds[:] = np.uint64(0), np.uint64(0)


def streams(keys: Bytes, start: int, into: Words | None = None, *, width: int = 0) -> Words:
    """Of secret keys `uint8[n, 16]` the streams `uint64[n, width]`, from block `start` on.

    `width` is even; `into` is room for them. Row i is what `aes.stream` fills for key i.
    """
    shape = (len(keys), width if into is None else into.shape[1])
    if shape[1] % 2 or not 0 <= start < 1 << 62:
        raise ValueError(f"streams of {shape[1]} words from block {start}")
    out = room_for(shape, into)
    if block_path() == "portable":
        for key, row in zip(keys, out, strict=True):
            aes.stream(key.tobytes(), start, row)
        return out
    words = readonly(np.ascontiguousarray(keys).view("<u8").astype(np.uint64))
    _stream_rows(words, np.uint64(start), out)
    return out
