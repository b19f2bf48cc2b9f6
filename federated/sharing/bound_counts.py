"""How a bin holder is held to counts that it shows: a tag lane beside the counts.

The value holder gives each row a tag: the sum of its counts (ones, mostly), each times a secret
number of its own, modulo 2^64. Sums of tags are tags of sums. The bin holder is committed to its
shares of counts and tag before it learns the secret that the numbers follow from: counts other than
they are fit with probability below 2^-(63 - b), b the bits of a count, for the numbers are uniform
and a difference of counts has at most b twos in it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

__all__ = ["tag_numbers", "tags"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]


def tag_numbers(secret: int, count: int) -> Lanes:
    """`uint64[count]` that follow from a secret of 64 bits."""
    drawn = hashlib.shake_256(b"fedprofile tags" + secret.to_bytes(8, "little"))
    return np.frombuffer(drawn.digest(8 * count), "<u8").astype(np.uint64)


def tags(counts: np.ndarray[Any, Any], secret: int) -> Lanes:
    """The tag of each row of `int64[rows, counts]`, all of them non-negative: `uint64[rows]`."""
    numbers = tag_numbers(secret, counts.shape[1])
    return np.asarray((counts.astype(np.uint64) * numbers).sum(axis=1, dtype=np.uint64))
