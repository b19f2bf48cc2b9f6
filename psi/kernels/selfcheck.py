"""What the kernels can prove of themselves on this machine."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

import numpy as np

from psi.kernels.cache import cache_directory, cache_refusal
from psi.kernels.curve25519 import LOW_ORDER, PRIME, encode_to_curve, is_zero, multiply
from psi.kernels.grouping import join
from psi.kernels.hashing import sha512
from psi.kernels.simd import kernel_path, threads

__all__ = ["reference_multiply", "selfcheck"]


def reference_multiply(scalar: int, u: int) -> int:
    """RFC 7748's ladder on Python's integers: slow, not constant time, plainly right."""
    x2, z2, x3, z3 = 1, 0, u % PRIME, 1
    for t in range(255, -1, -1):
        bit = scalar >> t & 1
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb = a * a, b * b
        x3, z3 = (d * a + c * b) ** 2 % PRIME, u * (d * a - c * b) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return x2 * pow(z2, PRIME - 2, PRIME) % PRIME


def selfcheck() -> Iterator[tuple[str, bool, str]]:
    """Name, whether it holds, what was found."""
    path = "AVX-512 IFMA, eight lanes" if kernel_path() == "wide" else "portable"
    yield "kernels for this CPU", True, f"{path}, {threads()} threads"
    place = cache_directory()
    yield "compile cache", place is not None, str(place) if place else cache_refusal()
    points = np.frombuffer(secrets.token_bytes(32 * 20), np.uint8).reshape(20, 32).copy()
    points[:, 31] &= 127
    scalar = secrets.token_bytes(32)
    number = int.from_bytes(scalar, "little")
    wanted = [reference_multiply(number, int.from_bytes(p.tobytes(), "little")) for p in points]
    found = [int.from_bytes(p.tobytes(), "little") for p in multiply(points, scalar)]
    yield "curve multiplication against the reference", wanted == found, "20 random points"
    low = b"".join(value.to_bytes(32, "little") for value in LOW_ORDER)
    zeros = multiply(np.frombuffer(low, np.uint8).reshape(-1, 32), (8).to_bytes(32, "little"))
    yield "low-order points come to zero", bool(is_zero(zeros).all()), f"{len(zeros)} points"
    texts = [secrets.token_bytes(n) for n in (0, 1, 111, 112, 127, 128, 129, 300)]
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    digests = [row.tobytes() for row in sha512(data, offsets)]
    good = digests == [hashlib.sha512(text).digest() for text in texts]
    yield "SHA-512 against hashlib", good, f"{len(texts)} lengths"
    mapped = encode_to_curve(data, offsets, b"selftest")
    again = encode_to_curve(data, offsets, b"selftest")
    yield "hash to curve is a function", bool((mapped == again).all()), f"{len(mapped)} items"
    tags = np.frombuffer(secrets.token_bytes(16 * 50), np.uint64).reshape(50, 2)
    order = join(tags, tags[::-1])
    yield "matching", bool((order == np.arange(49, -1, -1)).all()), "50 tags"
