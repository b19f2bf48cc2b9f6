"""Points of Curve25519 with both coordinates, in Python's integers: an oracle."""

from __future__ import annotations

from psi.kernels.comb25519 import root
from psi.kernels.curve25519 import PRIME

__all__ = ["Affine", "add", "over", "times", "u_of"]

J = 486662
Affine = tuple[int, int] | None
"""A point (u, v); None: the point at infinity."""


def add(p: Affine, q: Affine) -> Affine:
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0] and (p[1] + q[1]) % PRIME == 0:
        return None
    if p == q:
        slope = (3 * p[0] ** 2 + 2 * J * p[0] + 1) * pow(2 * p[1], -1, PRIME)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, PRIME)
    u = (slope * slope - J - p[0] - q[0]) % PRIME
    return u, (slope * (p[0] - u) - p[1]) % PRIME


def times(k: int, p: Affine) -> Affine:
    if k < 0:
        return times(-k, None if p is None else (p[0], -p[1] % PRIME))
    total: Affine = None
    while k:
        total = add(total, p) if k & 1 else total
        p, k = add(p, p), k >> 1
    return total


def over(u: int) -> Affine:
    """A point with this coordinate."""
    v = root(u**3 + J * u * u + u)
    assert v is not None
    return u, v


def u_of(p: Affine) -> int:
    assert p is not None
    return p[0]
