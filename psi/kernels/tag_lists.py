"""Tags as they travel, packed and in ascending order, and looked up in a list in the same order.

A tag is two words, of which word 1 is whole and comes first; of word 0 the low bytes are left.
Both lists are walked side by side, each piece of the packed one from where it falls in the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.simd import parallel_rows, readonly
from psi.kernels.words import load64

__all__ = ["look_up", "pack_tags"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Index = np.ndarray[Any, np.dtype[np.int32]]

_PIECE = 1 << 13


@kernel
def _pack_rows(low, high, tags, out):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        for k in range(8):
            out[i, k] = (tags[i, 1] >> np.uint64(8 * k)) & np.uint64(255)
        for k in range(8, out.shape[1]):
            out[i, k] = (tags[i, 0] >> np.uint64(8 * (k - 8))) & np.uint64(255)


def pack_tags(tags: Words, width: int) -> Bytes:
    """The first `width` bytes, 8 to 16, of each: `uint64[n, 2]` to `uint8[n, width]`."""
    if not 8 <= width <= 16:
        raise ValueError(f"tags of {width} bytes found, 8 to 16 allowed")
    out = np.empty((len(tags), width), np.uint8)
    parallel_rows(_pack_rows, len(tags), readonly(tags), out, least=_PIECE)
    return out


@part
def _tag(data, width, i):  # type: ignore[no-untyped-def]
    """Both words of packed tag i of the flat `data`."""
    at, cut = i * width, 16 - width
    low = load64(data, at + width - 8) >> np.uint64(8 * cut) if cut < 8 else np.uint64(0)
    return low, load64(data, at)


@part
def _before(tags, place, low, high):  # type: ignore[no-untyped-def]
    return tags[place, 1] < high or (tags[place, 1] == high and tags[place, 0] < low)


@part
def _bound(tags, low, high):  # type: ignore[no-untyped-def]
    """The first place whose tag is not before (low, high)."""
    first, last = 0, len(tags)
    while first < last:
        middle = (first + last) // 2
        if _before(tags, middle, low, high):
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def _walk_rows(low, high, own, data, width, partner, falls):  # type: ignore[no-untyped-def]
    """partner[j] = the first i with the tag of own[j]; `falls[0]` where data do not ascend."""
    count = len(own)
    last_low, last_high = np.uint64(0), np.uint64(0)
    if low > 0:
        last_low, last_high = _tag(data, width, low - 1)
    place = -1
    for i in range(low, high):
        tag_low, tag_high = _tag(data, width, i)
        if tag_high < last_high or (tag_high == last_high and tag_low < last_low):
            falls[0] = True
        again = i > 0 and tag_high == last_high and tag_low == last_low
        last_low, last_high = tag_low, tag_high
        if place < 0:
            place = _bound(own, tag_low, tag_high)
        while place < count and _before(own, place, tag_low, tag_high):
            place += 1
        at = place
        while not again and at < count and own[at, 1] == tag_high and own[at, 0] == tag_low:
            partner[at] = i
            at += 1


@kernel
def _span(own, data, width, count):  # type: ignore[no-untyped-def]
    """The own tags between the first packed one and the last, both included."""
    low, high = _tag(data, width, 0)
    first = _bound(own, low, high)
    low, high = _tag(data, width, count - 1)
    last = _bound(own, low, high)
    while last < len(own) and own[last, 1] == high and own[last, 0] == low:
        last += 1
    return first, max(first, last)


def look_up(own: Words, data: Bytes) -> tuple[Index, Index] | None:
    """Places of own tags that are among the packed ones, ascending, and which those are.

    `own: uint64[n, 2]` ascends, its words as `pack_tags` cuts them; `data: uint8[k, width]`.
    To `int32[m]` each. Where the packed tags repeat one, the first stands. None if they do not
    ascend.
    """
    if not len(data):
        return np.empty(0, np.int32), np.empty(0, np.int32)
    count, width = data.shape
    flat, mine = readonly(data).reshape(-1), readonly(own)
    first, last = _span(mine, flat, width, count)
    partner, falls = np.full(last - first, -1, np.int32), np.zeros(1, np.bool_)
    inputs = readonly(mine[first:last]), flat, width, partner, falls
    parallel_rows(_walk_rows, count, *inputs, block=1, least=_PIECE)
    if falls[0]:
        return None
    places = np.flatnonzero(partner >= 0).astype(np.int32)
    return places + np.int32(first), partner[places]
