"""Tags in ascending order: as they travel, and looked up in a list in the same order.

A tag is two words, of which word 1 is whole and comes first; of word 0 some low bits are left.
In ascending order the leading bits of one say little beyond those of the one before: they travel
as steps, a bit a tag and a bit a step, the others as bytes (Elias 1974, Fano 1971). Of n uniform
tags that saves about log2(n) - 1.5 bits each, all that their order is worth but half a bit.

Both lists are walked side by side, each piece of the other's from where it falls in the own one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.simd import parallel_rows, readonly
from psi.kernels.words import load64, store64

__all__ = ["look_up", "pack_tags", "unpack_tags"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Index = np.ndarray[Any, np.dtype[np.int32]]

_PIECE = 1 << 13
_ALL = np.uint64((1 << 64) - 1)


@part
def _halves(low, high, leading, spare):  # type: ignore[no-untyped-def]
    """The bits of a tag behind the leading ones, `spare` of word 0 and then word 1's, as words."""
    rest = high & (_ALL >> np.uint64(leading))
    if spare == 64:
        return low, rest
    over = rest >> np.uint64(64 - spare) if spare > 0 else np.uint64(0)
    return low | rest << np.uint64(spare), over


@part
def _tag(first, second, spare):  # type: ignore[no-untyped-def]
    """Word 0, and word 1 without its leading bits, of what `_halves` made of them."""
    if spare == 64:
        return first, second
    over = second << np.uint64(64 - spare) if spare > 0 else np.uint64(0)
    return first & ((np.uint64(1) << np.uint64(spare)) - np.uint64(1)), first >> np.uint64(
        spare
    ) | over


@kernel
def _pack(tags, leading, spare, width, steps, out):  # type: ignore[no-untyped-def]
    """Marks in `steps`, and the rest of each tag in `width` bytes of `out`.

    Words are written whole: what they have too much the next tag's overwrite.
    """
    count = len(tags)
    first = (tags[0, 1] >> np.uint64(1)) >> np.uint64(63 - leading)
    for i in range(count):
        lead = (tags[i, 1] >> np.uint64(1)) >> np.uint64(63 - leading)
        place = lead - first + np.uint64(i)
        steps[place >> np.uint64(3)] |= np.uint8(1 << (place & np.uint64(7)))
        low, high = _halves(tags[i, 0], tags[i, 1], leading, spare)
        at = i * width
        if at + 16 <= len(out):
            store64(out, at, low)
            store64(out, at + 8, high)
        else:
            for k in range(width):
                word = low if k < 8 else high
                out[at + k] = (word >> np.uint64(8 * (k & 7))) & np.uint64(255)


@kernel
def _unpack(first, steps, rests, width, leading, spare, leads, out):  # type: ignore[no-untyped-def]
    """The tags of what `_pack` made; how many marks there are, at most eight too many.

    `leads` has room for that.
    """
    count, marks = len(out), 0
    for k in range(len(steps)):
        for j in range(8):
            leads[marks] = first + np.uint64(8 * k + j - marks)
            marks += (steps[k] >> j) & 1
        if marks > count:
            return marks
    low_bits = _ALL if width >= 8 else _ALL >> np.uint64(64 - 8 * width)
    high_bits = (
        _ALL if width == 16 else (np.uint64(1) << np.uint64(8 * max(width - 8, 0))) - (np.uint64(1))
    )
    for i in range(count):
        at, low, high = i * width, np.uint64(0), np.uint64(0)
        if at + 16 <= len(rests):
            low, high = load64(rests, at) & low_bits, load64(rests, at + 8) & high_bits
        else:
            for k in range(width):
                byte = np.uint64(rests[at + k]) << np.uint64(8 * (k & 7))
                if k < 8:
                    low |= byte
                else:
                    high |= byte
        low, high = _tag(low, high, spare)
        out[i, 0] = low
        out[i, 1] = high | (leads[i] << np.uint64(1)) << np.uint64(63 - leading)
    return marks


def _spare(leading: int, width: int) -> int:
    """Bits of word 0 in tags of so many leading bits and `width` bytes."""
    spare = leading + 8 * width - 64
    if not (0 <= spare <= 64 and 0 <= leading < 64 and width <= 16):
        raise ValueError(f"tags of {spare + 64} bits found, 64 to 128 allowed")
    return spare


def pack_tags(tags: Words, leading: int, width: int) -> tuple[int, Bytes, Bytes]:
    """Ascending tags of `leading` bits and `width` bytes: `uint64[n, 2]`.

    To the first tag's leading bits, the steps to the others' as bits packed in bytes (a one a tag,
    a zero a step), and the rest of each: `uint8[n, width]`.
    """
    spare, out = _spare(leading, width), np.empty(len(tags) * width, np.uint8)
    if not len(tags):
        return 0, np.empty(0, np.uint8), out.reshape(0, width)
    first, last = (int(tags[i, 1]) >> (64 - leading) for i in (0, -1))
    steps = np.zeros((last - first + len(tags) + 7) // 8, np.uint8)
    _pack(readonly(tags), leading, spare, width, steps, out)
    return first, steps, out.reshape(-1, width)


def unpack_tags(first: int, steps: Bytes, rests: Bytes, leading: int) -> Words | None:
    """The tags that `pack_tags` packed: `uint64[n, 2]`; None if these bytes are of no tags."""
    count, width = rests.shape
    spare = _spare(leading, width)
    if not count:
        return None if len(steps) else np.empty((0, 2), np.uint64)
    leads, out = np.empty(count + 9, np.uint64), np.empty((count, 2), np.uint64)
    sent = np.uint64(first), readonly(steps), readonly(rests).reshape(-1), width
    marks = _unpack(*sent, leading, spare, leads, out)
    # the first mark and the last are where they have to be, and no tag is beyond the largest
    if marks != count or not steps[0] & 1 or not steps[-1] or int(leads[count - 1]) >> leading:
        return None
    return out


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
def _walk_rows(low, high, own, tags, partner, falls):  # type: ignore[no-untyped-def]
    """partner[j] = the first i with the tag of own[j]; `falls[0]` where tags do not ascend."""
    count = len(own)
    last_low, last_high = np.uint64(0), np.uint64(0)
    if low > 0:
        last_low, last_high = tags[low - 1, 0], tags[low - 1, 1]
    place = -1
    for i in range(low, high):
        tag_low, tag_high = tags[i, 0], tags[i, 1]
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
def _span(own, tags):  # type: ignore[no-untyped-def]
    """The own tags between the first of the others and the last, both included."""
    first = _bound(own, tags[0, 0], tags[0, 1])
    low, high = tags[-1, 0], tags[-1, 1]
    last = _bound(own, low, high)
    while last < len(own) and own[last, 1] == high and own[last, 0] == low:
        last += 1
    return first, max(first, last)


def look_up(own: Words, tags: Words) -> tuple[Index, Index] | None:
    """Places of own tags that are among the others, ascending, and which those are.

    `own: uint64[n, 2]` ascends, as do `tags: uint64[k, 2]`. To `int32[m]` each. Where the others
    repeat a tag, the first stands. None if they do not ascend.
    """
    if not len(tags):
        return np.empty(0, np.int32), np.empty(0, np.int32)
    mine, others = readonly(own), readonly(tags)
    first, last = _span(mine, others)
    partner, falls = np.full(last - first, -1, np.int32), np.zeros(1, np.bool_)
    inputs = readonly(mine[first:last]), others, partner, falls
    parallel_rows(_walk_rows, len(tags), *inputs, block=1, least=_PIECE)
    if falls[0]:
        return None
    places = np.flatnonzero(partner >= 0).astype(np.int32)
    return places + np.int32(first), partner[places]
