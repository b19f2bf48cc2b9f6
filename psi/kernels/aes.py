"""AES-128 as a fixed-key permutation of many blocks, and as a stream.

In kernels it is the CPU's own instructions, emitted for one 128-bit block or, with wide
vectors, four side by side. Where the CPU has none, callers use `encrypt`, OpenSSL's AES by way
of pyca/cryptography, which is what `stream` uses everywhere. Nothing here enciphers messages: a
permutation of single blocks is the point. Source: FIPS 197.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from llvmlite import ir

__all__ = ["KEY_WORDS", "emit_encrypt", "encrypt", "expand", "stream"]

KEY_WORDS = 22
"""64-bit words of the round keys of one key."""
_ROUNDS = 10
_ZEROS = memoryview(bytes(1 << 20))

Blocks = np.ndarray[Any, np.dtype[np.uint64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]


def _sbox() -> Keys:
    """The substitution table: inverse in the field of 256 elements, then an affine map."""
    table = np.zeros(256, np.uint8)
    p = q = 1
    while True:
        p ^= (p << 1) & 0xFF ^ (0x1B if p & 0x80 else 0)  # times 3
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF  # over 3
        q ^= 0x09 if q & 0x80 else 0
        rotated = [(q << k | q >> (8 - k)) & 0xFF for k in range(5)]
        table[p] = rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63
        if p == 1:
            table[0] = 0x63
            return table


_SBOX = _sbox()


def expand(keys: Keys) -> Blocks:
    """Round keys of many public keys: `uint8[n, 16]` to `uint64[n, 11, 2]`.

    By table lookups, so not for keys that are secret.
    """
    words = np.empty((44, len(keys)), "<u4")
    words[:4] = np.ascontiguousarray(keys).view("<u4").T
    constant = 1
    for i in range(4, 44):
        word = words[i - 1]
        if i % 4 == 0:
            turned = (word >> 8) | (word << 24)
            word = _SBOX[turned.view(np.uint8)].view("<u4") ^ np.uint32(constant)
            constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)
        np.bitwise_xor(words[i - 4], word, out=words[i])
    flat = np.ascontiguousarray(words.T).reshape(len(keys), 11, 4)
    return flat.view("<u8").astype(np.uint64, copy=False)


def emit_encrypt(b: Any, states: Sequence[Any], keys_at: Sequence[Any]) -> list[Any]:
    """Encrypt vectors of one or four blocks, each under the round keys that its pointer names.

    `keys_at` are `i64*` to `KEY_WORDS` words. States under the same pointer share the loads.
    """
    kind = states[0].type
    enc, last = (_declare(b, name, kind) for name in ("aesenc", "aesenclast"))
    loaded: dict[tuple[int, int], Any] = {}

    def key(pointer: Any, number: int) -> Any:
        name = id(pointer), number
        if name not in loaded:
            loaded[name] = _broadcast(b, pointer, number, kind)
        return loaded[name]

    found = [b.xor(x, key(at, 0)) for x, at in zip(states, keys_at, strict=True)]
    for number in range(1, _ROUNDS):
        pairs = list(zip(found, keys_at, strict=True))
        found = [b.call(enc, [x, key(at, number)]) for x, at in pairs]
    pairs = list(zip(found, keys_at, strict=True))
    return [b.call(last, [x, key(at, _ROUNDS)]) for x, at in pairs]


def _declare(b: Any, name: str, kind: Any) -> Any:
    full = f"llvm.x86.aesni.{name}" + (".512" if kind.count == 8 else "")
    found = b.module.globals.get(full)
    return found or ir.Function(b.module, ir.FunctionType(kind, [kind, kind]), full)


def _broadcast(b: Any, pointer: Any, number: int, kind: Any) -> Any:
    """Round key `number` in every block of the vector."""
    pair = ir.VectorType(ir.IntType(64), 2)
    place = b.gep(pointer, [ir.Constant(ir.IntType(64), 2 * number)])
    one = b.load(b.bitcast(place, pair.as_pointer()), align=8)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0, 1] * (kind.count // 2))
    return b.shuffle_vector(one, ir.Constant(pair, ir.Undefined), mask)


def encrypt(key: bytes, blocks: Blocks) -> Blocks:
    """AES under `key` of every block: `uint64[n, 2]`."""
    cipher = Cipher(AES(key), ECB()).encryptor()  # noqa: S305
    data = cipher.update(np.ascontiguousarray(blocks, "<u8").tobytes())
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, 2)


def stream(key: bytes, start: int, out: Blocks) -> None:
    """Fill `out: uint64[n]`, n even, with AES in counter mode from block `start` on."""
    cipher = Cipher(AES(key), CTR(start.to_bytes(16, "big"))).encryptor()
    data = out.view(np.uint8).data
    for low in range(0, len(data), len(_ZEROS)):
        part = data[low : low + len(_ZEROS)]
        cipher.update_into(_ZEROS[: len(part)], part)
    if sys.byteorder == "big":
        out.byteswap(inplace=True)
