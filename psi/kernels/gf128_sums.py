"""Sums of products in the field of 2^128 elements, for checks that weigh a vector at random.

An inner product is linear in the vector, so both sides of a correlation can take it; with random
weights it is zero for a vector that is not zero with probability 2^-128, and the value of a
polynomial of degree d at a random point with probability d · 2^-128 (Schwartz and Zippel).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.gf128 import multiply, reduced, wide_product
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["inner_products", "powers", "products"]

Elements = np.ndarray[Any, np.dtype[np.uint64]]

_THREAD = 1 << 16
"""Products that are worth a thread."""


@kernel
def _product_rows(low, high, first, second, out):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        out[i, 0], out[i, 1] = multiply(first[i, 0], first[i, 1], second[i, 0], second[i, 1])


@kernel
def _inner_rows(low, high, rows, column, weights, out):  # type: ignore[no-untyped-def]
    """Wide products are added up and reduced once."""
    zero = np.uint64(0)
    for i in range(low, high):
        r0, r1, r2, r3, m0, m1 = zero, zero, zero, zero, zero, zero
        for j in range(len(weights)):
            p0, p1, p2, p3, n0, n1 = wide_product(
                rows[i, j, column], rows[i, j, column + 1], weights[j, 0], weights[j, 1]
            )
            r0 ^= p0
            r1 ^= p1
            r2 ^= p2
            r3 ^= p3
            m0 ^= n0
            m1 ^= n1
        out[i, 0], out[i, 1] = reduced(r0, r1, r2, r3, m0, m1)


def products(first: Elements, second: Elements) -> Elements:
    """first[i] · second[i]: `uint64[n, 2]` each."""
    out = np.empty(first.shape, np.uint64)
    parallel_rows(_product_rows, len(out), readonly(first), readonly(second), out, least=4096)
    return out


def inner_products(rows: Elements, weights: Elements, column: int = 0) -> Elements:
    """Σ_j rows[i, j] · weights[j]: `uint64[k, n, w]` and `uint64[n, 2]` to `uint64[k, 2]`.

    An element of `rows` is two words from `column` on.
    """
    out = np.empty((len(rows), 2), np.uint64)
    if not 0 <= column <= rows.shape[2] - 2 or rows.shape[1] != len(weights):
        raise ValueError(f"rows {rows.shape} for {len(weights)} weights, column {column}")
    args = readonly(rows), column, readonly(weights), out
    parallel_rows(_inner_rows, len(rows), *args, least=max(8, _THREAD // max(1, len(weights))))
    return out


def powers(point: Elements, count: int) -> Elements:
    """1, point, point^2 and so on: `uint64[2]` to `uint64[count, 2]`, by doubling."""
    out = np.zeros((count, 2), np.uint64)
    out[0, 0] = 1
    done, top = 1, point.reshape(1, 2)
    while done < count:
        # point^done times what there is
        new = products(out[: min(done, count - done)], np.repeat(top, min(done, count - done), 0))
        out[done : done + len(new)] = new
        top, done = products(top, top), done + len(new)
    return out
