"""Fixed point, packing and secret bases of the vertical logistic regression."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.paillier import EncryptedVector, Packing, Plaintexts
from psi.protocol import MisuseError
from psi.protocol.role import Random

__all__ = [
    "COLUMN_BITS",
    "CURVATURE_BITS",
    "PAIR_BITS",
    "ROW_BITS",
    "SCORE_BITS",
    "fixed",
    "haar",
    "horner",
    "pair_packing",
    "pairwise_mask",
    "product_packing",
    "quantise",
    "row_packing",
    "unhorner",
    "whitening",
]

ROW_BITS = 24
"""Fraction bits of a row's residual and whitened own columns."""
CURVATURE_BITS = 31
"""Fraction bits of p (1 - p)."""
COLUMN_BITS = 16
"""Fraction bits of a feature party's whitened columns."""
PAIR_BITS = 14
"""Fraction bits of products of two of them."""
SCORE_BITS = 24
"""Fraction bits of a score."""
ROW_VALUE_BITS = 40
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def _log2(rows: int) -> int:
    return max(1, math.ceil(math.log2(max(2, rows))))


def row_packing(key_bits: int, rows: int, columns: int) -> tuple[Packing, int]:
    """Slots for a row's values, and ciphertexts a row.

    Whitened columns have mean square one, so a weighted sum grows by `rows` at most.
    """
    width = ROW_VALUE_BITS + COLUMN_BITS + _log2(rows) + 3
    most = (key_bits - 2) // width
    if most < 1:
        raise MisuseError(f"a slot of {width} bits does not fit a {key_bits}-bit key")
    return Packing(min(most, columns), width, ROW_VALUE_BITS), -(-columns // most)


def pair_packing(key_bits: int, rows: int) -> Packing:
    """Slots for sums of curvature times two columns."""
    width = CURVATURE_BITS + PAIR_BITS + _log2(rows) + 4
    return Packing(max(1, (key_bits - 2) // width), width)


def product_packing(key_bits: int, rows: int, columns: int) -> tuple[Packing, int]:
    """Slots for curvature times a column, summed with another party's column."""
    width = CURVATURE_BITS + 2 * COLUMN_BITS + 2 * _log2(rows) + 6
    most = max(1, (key_bits - 2) // width)
    value = COLUMN_BITS + _log2(rows)
    return Packing(min(most, columns), width, value), -(-columns // most)


def fixed(values: Floats, bits: int, value_bits: int) -> Ints:
    """Nearest integers of values times 2^bits. Raises `MisuseError` beyond `value_bits`."""
    scaled = np.rint(values * 2.0**bits)
    over = int((~(np.abs(scaled) < 2.0**value_bits)).sum())
    if over:
        raise MisuseError(f"{over} numbers exceed {value_bits} bits in fixed point")
    return scaled.astype(np.int64)


def quantise(values: Floats) -> Ints:
    """Whitened columns in fixed point."""
    return fixed(values, COLUMN_BITS, 2 * COLUMN_BITS + 8)


def _normals(count: int, random: Random) -> Floats:
    """Standard normals from the operating system's bytes (Box and Muller 1958)."""
    raw = np.frombuffer(random(16 * count), np.uint64).reshape(2, count) >> np.uint64(11)
    uniform = (raw.astype(np.float64) + 0.5) / 2.0**53
    return np.asarray(np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1]))


def haar(size: int, random: Random) -> Floats:
    """A rotation uniform over the orthogonal group (Stewart 1980)."""
    q, r = np.linalg.qr(_normals(size * size, random).reshape(size, size))
    return np.asarray(q * np.sign(np.diag(r)))


def whitening(x: Floats, random: Random) -> Floats:
    """A secret basis T, `float64[d, e]`: x T has unit second moments, and is turned at random.

    Directions without variation are dropped.
    """
    _, size, basis = np.linalg.svd(x, full_matrices=False)
    kept = size > 1e-9 * max(size.max(initial=0.0), 1e-300)
    scale = math.sqrt(len(x)) / size[kept]
    return np.asarray((basis[kept].T * scale) @ haar(int(kept.sum()), random))


def horner(vector: EncryptedVector, packing: Packing) -> EncryptedVector:
    """Single-slot ciphertexts to packed ones: slot s of ciphertext g holds entry g·slots + s."""
    slots = packing.slots
    groups = -(-len(vector) // slots)
    padded = np.minimum(np.arange(groups * slots), len(vector) - 1).reshape(groups, slots)
    packed = vector.take(padded[:, slots - 1])
    for slot in range(slots - 2, -1, -1):
        shift = packing.slot_bits
        while shift > 0:
            part = min(shift, 62)
            packed = packed.multiply_plain(1 << part)
            shift -= part
        packed = packed.add(vector.take(padded[:, slot]))
    return packed


def unhorner(plain: Plaintexts, packing: Packing, count: int) -> np.ndarray:
    """The entries again, as Python integers: `object[count]`."""
    return packing.unpack_objects(plain).reshape(-1)[:count]


def pairwise_mask(secrets: Mapping[str, bytes], me: str, label: str, count: int) -> np.ndarray:
    """Masks mod 2^64 that add up to zero over all who share these secrets: `uint64[count]`."""
    total = np.zeros(count, np.uint64)
    for peer, secret in sorted(secrets.items()):
        info = b"fedprofile score mask v1 " + label.encode()
        key = HKDF(SHA256(), 32, None, info).derive(secret)
        stream = Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(bytes(8 * count))
        mask = np.frombuffer(stream, "<u8").astype(np.uint64)
        total = total + mask if me < peer else total - mask
    return total
