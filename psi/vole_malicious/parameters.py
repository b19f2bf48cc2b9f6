"""What is larger here than in `psi.vole`: the noise, and tags."""

from __future__ import annotations

from psi.vole.extension import BASE
from psi.vole.parameters import (
    COMPUTATIONAL,
    DISTANCE,
    STATISTICAL,
    Store,
    Vector,
    noise_weight,
    vector_of_chunk,
)
from psi.vole_malicious.checks import HASHES

__all__ = ["NOISE", "TAG", "correlation", "inputs"]

NOISE = noise_weight(COMPUTATIONAL + STATISTICAL, DISTANCE)
"""Noisy places at least: a sender that guesses about them, and is caught if it errs, still meets
128 bits where it passes with probability 2^-40."""
TAG = 16
"""Bytes of a tag: two items of a sender that cheats have one tag with probability 2^-128."""


def correlation(store: Store, chunk: int) -> Vector:
    """The correlation of one chunk of a store."""
    return vector_of_chunk(store, chunk, NOISE)


def inputs(vector: Vector) -> tuple[int, int]:
    """Bits and field elements that the receiver has to put into transfers and products.

    Bits fill whole elements; then come the random elements of the check, and before these, in
    products, the one of the trees' check.
    """
    blocks = -(-vector.trees * vector.depth // BASE)
    return (blocks + HASHES) * BASE, vector.trees + 1 + HASHES
