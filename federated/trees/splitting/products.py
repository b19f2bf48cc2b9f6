"""Products of one side's bits and the other's numbers, as shares, by correlated transfers.

The giving side has numbers v and both pads p of a transfer; it sends p0 - p1 + v and keeps -p0. The
choosing side with bit c has p_c, adds what was sent where c is 1, and has c·v + p0.

A *node's constant* of some bits times the numbers of the node's candidates takes one transfer a
bit: its pads are streams as long as the node has candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psi.kernels.aes_streams import streams

__all__ = ["chosen", "given", "stretched", "weighed"]

Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
Numbers = NDArray[Any]


def stretched(pads: Words, count: int, kind: Any) -> Numbers:
    """Of pads `uint64[..., 2]`, as keys, `count` numbers each: `kind[..., count]`."""
    per = 8 // np.dtype(kind).itemsize
    width = -(-count // (2 * per)) * 2
    keys = np.ascontiguousarray(pads.reshape(-1, 2), "<u8").view(np.uint8).reshape(-1, 16)
    drawn = streams(keys, 0, width=width).view(kind)
    return np.ascontiguousarray(drawn[:, :count]).reshape(*pads.shape[:-1], count)


def given(first: Numbers, second: Numbers, values: Numbers) -> Numbers:
    """What the giving side sends; minus `first` is its share. All of one unsigned kind."""
    return np.asarray(first - second + values)


def chosen(bits: Bits, pads: Numbers, sent: Numbers) -> Numbers:
    """The choosing side's share of bit times value."""
    on = (0 - bits.astype(pads.dtype)).astype(pads.dtype)
    return np.asarray(pads + (sent & on))


def weighed(shares: Numbers, *, signed: bool) -> Numbers:
    """Shares of bit times value `[nodes, bits, n]` added up: `[nodes, n]`; the last bit's sign."""
    bits = shares.shape[1]
    weights = np.ones(bits, shares.dtype) << np.arange(bits, dtype=shares.dtype)
    if signed:
        weights[-1:] = 0 - weights[-1:]
    return np.asarray((shares * weights[None, :, None]).sum(axis=1, dtype=shares.dtype))
