"""Streams of many keys, and sums over rows: the same as OpenSSL and numpy say."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest

from psi.kernels import aes, aes_streams
from psi.kernels.aes_streams import streams
from psi.kernels.subset_sums import add_to_bins, subset_sums


@pytest.mark.parametrize("path", ["own", "portable"])
@pytest.mark.parametrize("width", [0, 2, 14, 16, 62, 64, 66, 130])
def test_each_stream_is_aes_in_counter_mode(
    width: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "portable":
        monkeypatch.setattr(aes_streams, "block_path", lambda: "portable")
    keys = np.frombuffer(secrets.token_bytes(16 * 5), np.uint8).reshape(5, 16)
    for start in (0, 255, (1 << 40) - 1, (7 << 40) + 3):
        found = streams(keys, start, width=width)
        for key, row in zip(keys, found, strict=True):
            wanted = np.empty(width, np.uint64)
            aes.stream(key.tobytes(), start, wanted)
            assert np.array_equal(row, wanted)


def test_a_stream_beyond_its_counter_is_refused() -> None:
    with pytest.raises(ValueError, match="from block"):
        streams(np.zeros((1, 16), np.uint8), 1 << 62, width=2)
    with pytest.raises(ValueError, match="3 words"):
        streams(np.zeros((1, 16), np.uint8), 0, width=3)


@pytest.mark.parametrize("width", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("shift", [0, 1, 9, 15])
def test_sums_of_rows_by_the_bits_of_their_numbers(width: int, shift: int) -> None:
    rows = np.random.default_rng(shift).integers(0, 2**64, (16, width), dtype=np.uint64)
    sums, total = np.full((4, width), 7, np.uint64), np.full(width, 7, np.uint64)
    subset_sums(rows, shift, sums, total)
    for t in range(4):
        chosen = [k for k in range(16) if (k ^ shift) >> t & 1]
        assert np.array_equal(sums[t], np.bitwise_xor.reduce(rows[chosen], axis=0))
    assert np.array_equal(total, np.bitwise_xor.reduce(rows, axis=0))
    with pytest.raises(ValueError, match="sums of shape"):
        subset_sums(rows[:8], shift, sums, total)


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.uint64])
def test_values_are_added_to_their_bins(kind: type) -> None:
    rng, top = np.random.default_rng(1), np.iinfo(kind).max
    values, less = (rng.integers(0, top, (99, 3), dtype=kind) for _ in range(2))
    bins = rng.integers(0, 5, 99).astype(np.uint16)
    wanted: Any = np.zeros((5, 3), kind)
    np.add.at(wanted, bins, values - less)
    found: Any = np.zeros((5, 3), kind)
    add_to_bins(values, less, bins, found)
    assert np.array_equal(found, wanted)
    with pytest.raises(ValueError, match="bins beyond 4"):
        add_to_bins(values, less, bins, found[:4])
