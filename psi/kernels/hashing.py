"""SHA-512 over many strings at once, in the three shapes that the protocols need.

Strings come as an Arrow buffer: `data: uint8[]` and `offsets: int64[n + 1]`. Python's hashlib
takes one call a string; these kernels take one call a column, hash several strings at once and
run on all cores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.sha512 import INITIAL, STREAMS, compress
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["expand_words", "sha512", "tag_hash"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]

_BLOCK = 128
_TAIL = 17
"""Bytes that padding takes at least: a bit, and the length."""


@part
def _put(message, lane, at, source, low, high):  # type: ignore[no-untyped-def]
    """source[low:high] into a lane's message at byte `at`; where it ends.

    Words of the lanes lie side by side, and each with its bytes in the machine's order.
    """
    for i in range(low, high):
        word, byte = at >> 3, at & 7
        message[(word * STREAMS + lane) * 8 + 7 - byte] = source[i]
        at += 1
    return at


@kernel
def _digest_rows(  # type: ignore[no-untyped-def]
    low, high, prefix, sized, data, offsets, tails, longest, out
):
    """out[row] = leading words of SHA-512(prefix || [length] || string || tail)."""
    blocks = (len(prefix) + 4 * sized + longest + tails.shape[1] + _TAIL + _BLOCK - 1) // _BLOCK
    words = np.zeros(blocks * 16 * STREAMS, np.uint64)
    message = words.view(np.uint8)
    state = np.empty(8 * STREAMS, np.uint64)
    left = np.zeros(STREAMS, np.uint64)
    for start in range(low, high, STREAMS):
        lanes = min(STREAMS, high - start)
        most = 0
        for lane in range(lanes):
            row = start + lane
            length = offsets[row + 1] - offsets[row]
            at = _put(message, lane, 0, prefix, 0, len(prefix))
            if sized:
                for i in range(4):
                    place = ((at >> 3) * STREAMS + lane) * 8 + 7 - (at & 7)
                    message[place] = (length >> (24 - 8 * i)) & 255
                    at += 1
            at = _put(message, lane, at, data, offsets[row], offsets[row + 1])
            tail = tails[row % len(tails)]
            at = _put(message, lane, at, tail, 0, len(tail))
            message[((at >> 3) * STREAMS + lane) * 8 + 7 - (at & 7)] = 0x80
            count = (at + _TAIL + _BLOCK - 1) // _BLOCK
            words[(count * 16 - 1) * STREAMS + lane] = np.uint64(at) * np.uint64(8)
            left[lane] = np.uint64(count)
            most = max(most, count)
        for i in range(8):
            for lane in range(STREAMS):
                state[i * STREAMS + lane] = INITIAL[i]
        for block in range(most):
            compress(state, words, block, left)
            for lane in range(STREAMS):
                left[lane] -= np.uint64(left[lane] > np.uint64(0))
        for i in range(most * 16 * STREAMS):
            words[i] = np.uint64(0)
        for lane in range(lanes):
            for i in range(out.shape[1]):
                out[start + lane, i] = state[i * STREAMS + lane]


def _digest(
    width: int,
    prefix: bytes,
    data: Bytes | None,
    offsets: Offsets,
    tails: Bytes,
    *,
    sized: bool = False,
) -> Words:
    """The first `width` words of each digest: `uint64[n, width]`."""
    out = np.empty((len(offsets) - 1, width), np.uint64)
    if not len(out):
        return out
    items = np.zeros(0, np.uint8) if data is None else np.asarray(data, np.uint8)
    ends = np.asarray(offsets, np.int64)
    lengths = np.diff(ends)
    if ends[0] < 0 or ends[-1] > len(items) or lengths.min() < 0:
        raise ValueError(f"offsets that leave a buffer of {len(items)} bytes")
    inputs = [readonly(x) for x in (_bytes(prefix), items, ends, tails)]
    longest = int(lengths.max())
    args = (inputs[0], sized, inputs[1], inputs[2], inputs[3], longest, out)
    parallel_rows(_digest_rows, len(out), *args, block=STREAMS)
    return out


def _bytes(value: bytes) -> Bytes:
    return np.frombuffer(value, dtype=np.uint8)


def sha512(data: Bytes, offsets: Offsets, *, prefix: bytes = b"", suffix: bytes = b"") -> Bytes:
    """SHA-512 of prefix || string || suffix for every string: `uint8[n, 64]`."""
    found = _digest(8, prefix, data, offsets, _bytes(suffix).reshape(1, -1))
    return found.astype(">u8").view(np.uint8)


def expand_words(data: Bytes, offsets: Offsets, dst: bytes) -> Words:
    """RFC 9380, section 5.3.1, expand_message_xmd with SHA-512 to 48 bytes: `uint64[n, 6]`.

    The bytes are a big-endian number; its words come lowest first. 48 bytes need one output
    block, so two hashes a string.
    """
    if not 0 < len(dst) < 256:
        raise ValueError(f"a tag of {len(dst)} bytes found, 1 to 255 allowed")
    dst_prime = dst + bytes([len(dst)])
    first = sha512(data, offsets, prefix=bytes(_BLOCK), suffix=bytes([0, 48, 0]) + dst_prime)
    starts = np.arange(len(first) + 1, dtype=np.int64) * 64
    last = _bytes(b"\x01" + dst_prime).reshape(1, -1)
    return np.ascontiguousarray(_digest(6, b"", first.reshape(-1), starts, last)[:, ::-1])


def tag_hash(
    prefix: bytes, data: Bytes | None, offsets: Offsets | None, points: Bytes, *, width: int = 2
) -> Words:
    """The first words of SHA-512(prefix || length || item || point): `uint64[n, width]`.

    With `data` None the item (and its 4-byte length) is left out. Points are `uint8[n, 32]`.
    """
    bound = data is not None and offsets is not None
    ends = offsets if bound else np.zeros(len(points) + 1, np.int64)
    if ends is None or len(ends) != len(points) + 1:
        raise ValueError(f"{len(points)} points found, one an item allowed")
    return _digest(width, prefix, data, ends, np.ascontiguousarray(points), sized=bound)
