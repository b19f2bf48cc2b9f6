"""Numbers modulo powers of two in as few bytes as they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psi.protocol import PeerError

__all__ = ["narrow", "widen"]

Bytes = NDArray[np.uint8]
Numbers = NDArray[Any]


def narrow(numbers: Numbers, width: int) -> Bytes:
    """The low `width` bytes of each unsigned number, flat."""
    flat = np.ascontiguousarray(numbers.reshape(-1)).astype(numbers.dtype.newbyteorder("<"))
    data = flat.view(np.uint8).reshape(len(flat), numbers.dtype.itemsize)
    return np.ascontiguousarray(data[:, :width]).reshape(-1)


def widen(data: Bytes, width: int, count: int, kind: Any) -> Numbers:
    """Numbers of `kind` `[count]` of what `narrow` gave. Raises `PeerError` for another count."""
    if len(data) != width * count:
        raise PeerError(f"{len(data)} bytes of numbers found, {width * count} expected")
    size = np.dtype(kind).itemsize
    out = np.zeros((count, size), np.uint8)
    out[:, :width] = data.reshape(count, width)
    return np.asarray(out.view(np.dtype(kind).newbyteorder("<")).astype(kind)).reshape(-1)
