"""A feature party's secret bases, and the masks that hide its scores among the partners'.

All randomness comes from `random`, the operating system's generator outside tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federated.vertical.newton import Floats
from psi.protocol import Random

__all__ = [
    "draw_basis",
    "gaussians",
    "haar",
    "log_uniform",
    "pair_masks",
    "uniform_integers",
    "whitening",
]

# singular values below this share of the largest are null directions
NULL = 1e-9
# the basis stretches directions by a factor in [1/SPREAD, 1]
SPREAD = 16.0


def whitening(x: Floats, penalty: float) -> Floats:
    """T, `float64[b, k]`: X T has at most unit mean squares, and penalty TᵀT at most n.

    With X = U Σ Vᵀ, T = V (Σ²/n + penalty/n)^-½; directions that X does not have are dropped,
    which costs nothing, since the penalty keeps the model out of them.
    """
    n = len(x)
    _, sizes, rows = np.linalg.svd(x, full_matrices=False)
    kept = sizes > NULL * max(sizes.max(initial=0.0), np.finfo(np.float64).tiny)
    scale = np.sqrt(n / (sizes[kept] ** 2 + penalty))
    return np.ascontiguousarray(rows[kept].T * scale)


def haar(size: int, random: Random) -> Floats:
    """An orthogonal matrix, uniform over all (Mezzadri 2007): QR of Gaussians, signs fixed."""
    q, r = np.linalg.qr(gaussians(size * size, random).reshape(size, size))
    return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0))


def gaussians(count: int, random: Random) -> Floats:
    """Independent standard normal numbers, `float64[count]` (Box and Muller 1958)."""
    u = _uniform(2 * count, random)
    return np.asarray(np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:]))


def log_uniform(size: int, random: Random) -> Floats:
    """Factors in [1/SPREAD, 1], uniform in the logarithm."""
    return np.asarray(SPREAD ** -_uniform(size, random))


def draw_basis(whitened: Floats, random: Random) -> Floats:
    """T Q₁ S Q₂ for a fresh secret: columns of X T Q₁ S Q₂ keep mean squares of at most 1."""
    k = whitened.shape[1]
    return np.asarray((whitened @ haar(k, random)) * log_uniform(k, random) @ haar(k, random))


def uniform_integers(shape: tuple[int, ...], bits: int, random: Random) -> NDArray[np.int64]:
    """Uniform in [-2^bits, 2^bits), `int64` of this shape; bits at most 62."""
    count = int(np.prod(shape))
    words = np.frombuffer(random(8 * count), dtype="<u8") >> np.uint64(63 - bits)
    return (words.astype(np.int64) - (1 << bits)).reshape(shape)


def pair_masks(
    secrets: Mapping[str, bytes], party: str, label: bytes, count: int
) -> NDArray[np.uint64]:
    """`uint64[count]` that add up to zero modulo 2^64 over all parties with these pair secrets.

    Each pair expands its secret and `label` (never used twice) by SHAKE-256; the name that sorts
    first adds, the other subtracts.
    """
    total = np.zeros(count, dtype=np.uint64)
    for peer, secret in sorted(secrets.items()):
        first, second = sorted((party, peer))
        parts = (b"vertical score mask", first.encode(), second.encode(), label, secret)
        seed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
        stream = hashlib.shake_256(seed).digest(8 * count)
        mask = np.frombuffer(stream, dtype="<u8").astype(np.uint64)
        total = total + mask if party == first else total - mask
    return total


def _uniform(count: int, random: Random) -> Floats:
    """Uniform in (0, 1) with 53 bits."""
    words = np.frombuffer(random(8 * count), dtype="<u8") >> np.uint64(11)
    return np.asarray((words.astype(np.float64) + 0.5) * 2.0**-53)
