"""BLAKE2s (RFC 7693) of many short strings at once, keyed, one string a lane.

The key and the eight-byte personalisation go into a first block that all strings share, so its
compression is done once; a string of at most 64 bytes then costs one more. Digests have 32
bytes and come as four 64-bit words, little endian.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from psi.kernels.blake2s_rounds import IV, LANES, compress
from psi.kernels.cache import kernel
from psi.kernels.simd import parallel_rows, readonly, room_for
from psi.kernels.words import load32

__all__ = ["BLOCK", "Blake2s"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]

BLOCK = 64
_LARGEST = 1 << 30
"""Bytes of the longest string: block counters have 32 bits here."""


@kernel
def _digest_rows(  # type: ignore[no-untyped-def]
    low, high, chain, empty, data, offsets, width, rows, longest, out
):
    """out[i] = digest of string rows[i] (i itself if `rows` is empty).

    Strings are data[offsets[r]:offsets[r + 1]], or `width` bytes each if `width` is not 0.
    """
    blocks = max(1, (longest + BLOCK - 1) // BLOCK)
    message = np.zeros(blocks * 16 * LANES, np.uint32)
    state = np.empty(8 * LANES, np.uint32)
    count = np.zeros(LANES, np.uint32)
    final, active = count.copy(), count.copy()
    lengths = np.zeros(LANES, np.int64)
    for first in range(low, high, LANES):
        lanes = min(LANES, high - first)
        most = 1
        lengths[:] = 0
        for lane in range(lanes):
            row = first + lane
            if len(rows):
                row = rows[row]
            start, length = row * width, width
            if width == 0:
                start = offsets[row]
                length = offsets[row + 1] - start
            lengths[lane] = length
            most = max(most, (length + BLOCK - 1) // BLOCK)
            words = length >> 2
            for i in range(words):
                message[i * LANES + lane] = load32(data, start + 4 * i)
            tail = np.uint32(0)
            for i in range(length & 3):
                tail |= np.uint32(data[start + 4 * words + i]) << np.uint32(8 * i)
            if length & 3:
                message[words * LANES + lane] = tail
        for i in range(8):
            for lane in range(LANES):
                state[i * LANES + lane] = chain[i]
        for block in range(most):
            done = block * BLOCK
            for lane in range(LANES):
                left = lengths[lane] - done
                active[lane] = np.uint32(0xFFFFFFFF) if left > 0 else np.uint32(0)
                final[lane] = np.uint32(0xFFFFFFFF) if left <= BLOCK else np.uint32(0)
                count[lane] = np.uint32(BLOCK + min(lengths[lane], done + BLOCK))
            compress(state, message, block, count, final, active)
        message[: most * 16 * LANES] = np.uint32(0)
        for lane in range(lanes):
            for i in range(4):
                word = np.uint64(state[(2 * i + 1) * LANES + lane]) << np.uint64(32)
                word |= np.uint64(state[2 * i * LANES + lane])
                out[first + lane, i] = word if lengths[lane] else empty[i]


@dataclass(frozen=True, repr=False)
class Blake2s:
    """Keyed BLAKE2s: `key` of 1 to 32 bytes, `person` of at most 8.

    Digests have 32 bytes, or `size`: then the others of the 32 are of no use.
    """

    key: bytes
    person: bytes = b""
    size: int = 32

    def __post_init__(self) -> None:
        if not 1 <= len(self.key) <= 32 or len(self.person) > 8 or not 1 <= self.size <= 32:
            raise ValueError(
                "a key and digests of 1 to 32 bytes and a person of at most 8 are allowed"
            )

    def chain(self) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """The chaining value after the block that holds the key."""
        block = struct.pack(
            "<BBBBIIHBB8x8s", self.size, len(self.key), 1, 1, 0, 0, 0, 0, 0, self.person
        )
        parameters = np.frombuffer(block, "<u4").astype(np.uint32)
        state = np.repeat(IV ^ parameters, LANES)
        words = np.frombuffer(self.key.ljust(BLOCK, b"\0"), "<u4").astype(np.uint32)
        ones = np.full(LANES, 0xFFFFFFFF, np.uint32)
        count = np.full(LANES, BLOCK, np.uint32)
        _compress_once(state, np.repeat(words, LANES), count, np.zeros(LANES, np.uint32), ones)
        return np.ascontiguousarray(state[::LANES])

    def strings(
        self, data: Bytes, offsets: Index, rows: Index | None = None, into: Words | None = None
    ) -> Words:
        """Digests of the strings data[offsets[i]:offsets[i + 1]]: `uint64[n, 4]`, `into` if given.

        With `rows` only those strings, in that order. Raises `ValueError` on offsets that
        leave the data.
        """
        ends = np.asarray(offsets, np.int64)
        chosen = np.empty(0, np.int64) if rows is None else rows
        if not (len(ends) - 1 if rows is None else len(chosen)):
            return np.empty((0, 4), np.uint64)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(ends) - 1:
            raise ValueError("rows that do not exist")
        # of a large set a caller asks for one share of the rows after the other
        starts, lasts = (ends[:-1], ends[1:]) if rows is None else (ends[chosen], ends[chosen + 1])
        lengths = lasts - starts
        longest = int(lengths.max())
        inside = starts.min() >= 0 and lasts.max() <= len(data)
        if not inside or lengths.min() < 0 or longest > _LARGEST:
            raise ValueError(f"offsets that leave a buffer of {len(data)} bytes")
        return self._run(len(lengths), data, ends, 0, chosen, longest, into)

    def rows(self, table: Words) -> Words:
        """Digests of the rows of a table, as bytes: `uint64[n, width]` to `uint64[n, 4]`."""
        if not len(table):
            return np.empty((0, 4), np.uint64)
        width = table.shape[1] * 8
        none = np.empty(0, np.int64)
        flat = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
        return self._run(len(table), flat, none, width, none, width)

    def _run(
        self,
        count: int,
        data: Bytes,
        ends: Index,
        width: int,
        rows: Index,
        longest: int,
        into: Words | None = None,
    ) -> Words:
        out = room_for((count, 4), into)
        digest = hashlib.blake2s(digest_size=self.size, key=self.key, person=self.person).digest()
        empty = np.frombuffer(digest.ljust(32, b"\0"), "<u8").astype(np.uint64)
        inputs = [readonly(x) for x in (self.chain(), empty, np.asarray(data, np.uint8), ends)]
        args = (*inputs, width, readonly(rows), longest, out)
        parallel_rows(_digest_rows, count, *args, block=LANES, least=2048)
        return out


@kernel
def _compress_once(state, message, count, final, active):  # type: ignore[no-untyped-def]
    compress(state, message, 0, count, final, active)
