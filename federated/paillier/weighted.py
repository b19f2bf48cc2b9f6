"""Sums of ciphertexts weighted by columns of plaintext integers.

Every weight is cut into signed digits of w bits. For one column and digit place, rows with the
same digit are multiplied into one bucket, a row with a negative digit by its inverse; the
buckets of digits 1, 2, 3, ... are combined by running products, and the places by squarings.
A row costs one product a place, a bucket two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from psi.kernels.montgomery import Residues, SquareRing
from psi.kernels.montgomery_threads import parallel

__all__ = ["choose_window", "signed_digits", "weighted_product"]

# chains of buckets combined at once: one in every lane
CHAINS = 8


def choose_window(rows: int, bits: int) -> tuple[int, int]:
    """Digit width w and number of places with the fewest products, for `bits`-bit weights."""

    def places(window: int) -> int:
        # one bit more than the magnitude: the top digit may carry
        return -(-(bits + 1) // window)

    def products(window: int) -> int:
        # a bucket costs two products and saves the first of its rows
        lower = places(window) - 1
        top = 1 << max(0, bits - window * lower)
        return lower * (rows + (1 << (window - 1))) + rows + top

    best = min(range(1, 16), key=products)
    return best, places(best)


def signed_digits(weights: NDArray[np.int64], window: int, places: int) -> NDArray[np.int16]:
    """Digits in [-2^(w-1), 2^(w-1)], least first: `int16[places, n, k]`."""
    digits = np.empty((places, *weights.shape), dtype=np.int16)
    sign = np.where(weights < 0, -1, 1)
    rest = np.abs(weights)
    half = 1 << (window - 1)
    for place in range(places):
        # of the magnitude, in (-half, half]: so that places (bits + 1)/w suffice
        digit = half - ((half - rest) & ((1 << window) - 1))
        digits[place] = digit * sign
        rest = (rest - digit) >> window
    return digits


def weighted_product(
    ring: SquareRing,
    residues: Residues,
    weights: NDArray[np.int64],
    inverse: Callable[[Residues], Residues],
) -> Residues:
    """Product over i of residues_i^weights_ij for every column j of `int64[n, k]`."""
    rows, columns = weights.shape
    if rows == 0 or columns == 0:
        return ring.ones(columns)
    bits = int(np.abs(weights).max()).bit_length()
    if bits == 0:
        return ring.ones(columns)
    window, places = choose_window(rows, bits)
    digits = signed_digits(weights, window, places)
    signed = bool((digits < 0).any())
    source = ring.concatenate([residues, inverse(residues)]) if signed else residues
    # one chain a column and place, place by place
    chains = digits.transpose(0, 2, 1).reshape(places * columns, rows)

    def task(start: int) -> Callable[[], Residues]:
        return lambda: _chains(ring, source, chains[start : start + CHAINS])

    every = ring.concatenate(parallel(task(start) for start in range(0, len(chains), CHAINS)))
    # Horner over the places
    total = ring.take(every, np.arange((places - 1) * columns, places * columns))
    for place in range(places - 2, -1, -1):
        total = ring.power_shared(total, 1 << window)
        part = ring.take(every, np.arange(place * columns, (place + 1) * columns))
        total = ring.multiply(total, part)
    return total


def _chains(ring: SquareRing, source: Residues, digits: NDArray[np.int16]) -> Residues:
    """The weighted product of some chains of digits, `int16[chains, n]`."""
    chains, rows = digits.shape
    # a top place may use fewer digits; a multiple of 8 can be cut for the lanes
    buckets = -(-int(np.abs(digits).max()) // 8) * 8
    if buckets == 0:
        return ring.ones(chains)
    order = np.argsort(np.abs(digits), axis=1, kind="stable")
    ordered = np.take_along_axis(digits, order, axis=1)
    sizes = np.abs(ordered)
    # zeros come first and are left out
    kept = sizes > 0
    index = (order + rows * (ordered < 0))[kept]
    bucket = (sizes + buckets * np.arange(chains)[:, None] - 1)[kept]
    counts = np.bincount(bucket, minlength=chains * buckets)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    products = ring.segment_product(source, index.astype(np.int64), offsets.astype(np.int64))
    return ring.bucket_product(products, chains)
