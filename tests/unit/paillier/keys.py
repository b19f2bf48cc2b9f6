"""Cached keys and reproducible randomness for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

from federated.paillier import PrivateKey, generate_keypair
from psi.kernels.montgomery import best_path

PATHS = ["portable"] if best_path() == "portable" else ["portable", best_path()]


def stream(seed: str) -> Callable[[int], bytes]:
    """Reproducible bytes: calls go on where the last one ended."""
    calls = 0

    def draw(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{seed}:{calls}".encode()).digest(count)

    return draw


@cache
def toy_key(bits: int) -> PrivateKey:
    return generate_keypair(bits, random=stream(f"toy {bits}"), allow_toy=True)


@cache
def full_key(bits: int) -> PrivateKey:
    return generate_keypair(bits, random=stream(f"full {bits}"))
